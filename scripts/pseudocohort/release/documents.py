"""The papers of a release, as Markdown and as pages that print: datasheet, export request, gate, in two languages."""

from functools import cache
from pathlib import Path

import jinja2
import yaml
from markdown_it import MarkdownIt
from markupsafe import Markup

HERE = Path(__file__).parent
LANGUAGES = ("en", "ja")


@cache
def check_texts() -> dict[str, dict[str, str]]:
    """checks.yaml: name and remedy of every check by language."""
    return yaml.safe_load((HERE / "checks.yaml").read_text(encoding="utf-8"))


def gate_text(gate: dict, language: str) -> str:
    """Markdown of the gate's answer (`gate.answer`)."""
    texts = check_texts()
    checks = [
        {"name": texts[c["check"]][language], "remedy": texts[c["check"]][f"remedy_{language}"], **c}
        for c in gate["checks"]
    ]
    return _render(f"gate.{language}.md.j2", gate=gate, checks=checks)


def papers(facts: dict) -> dict[str, str]:
    """Text by file name: README.md, datasheet and export request in both languages as .md and .html.

    facts: see `bundle.facts`; per language the `uses` and `checks`.
    """
    found = {"README.md": _render("readme.en.md.j2", **facts)}
    for language in LANGUAGES:
        told = facts | facts["by_language"][language]
        for name, template, title in (
            ("datasheet", "datasheet", {"en": "Datasheet", "ja": "データシート"}),
            ("export_request", "request", {"en": "Export request", "ja": "持ち出し申請書"}),
        ):
            text = _render(f"{template}.{language}.md.j2", **told)
            found[f"{name}.{language}.md"] = text
            found[f"{name}.{language}.html"] = page(text, f"{title[language]}: {facts['release']['title']}", language)
    return found


def page(markdown: str, title: str, language: str) -> str:
    """One page that opens without a network and prints on A4."""
    body = MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown)
    return _render("page.html.j2", escape=True, body=Markup(body), title=title, language=language)


def _render(template: str, escape: bool = False, **values) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE), autoescape=escape, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined, keep_trailing_newline=True,
    )  # fmt: skip
    environment.filters |= {"thousands": lambda n: f"{n:,}", "bytes": _bytes}
    if not escape:  # a text of the configuration must not make markup of its own
        values = {k: _plain(v) if k in ("release", "checks") else v for k, v in values.items()}
    return environment.get_template(template).render(**values)


def _plain(value):
    """Texts on one line, with what Markdown and HTML would take for markup escaped."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, str):
        text = " ".join(value.split())
        for mark in "\\`*_[]<>|":
            text = text.replace(mark, "\\" + mark)
        return text
    return value


def _bytes(size: int) -> str:
    """Bytes with the unit that fits."""
    value = float(size)
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1000
    return ""
