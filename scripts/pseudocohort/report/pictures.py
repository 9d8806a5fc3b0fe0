"""The figures of the page: which there are, and each as a part of the page itself."""

import base64
from functools import cache
from pathlib import Path

import yaml

from pseudocohort.report import EMPTY, words


@cache
def listed() -> dict[str, dict]:
    """Name of the figure -> section, title {en, ja}, alt {en, ja}, in the page's order."""
    return yaml.safe_load(Path(__file__).with_name("pictures.list.yaml").read_text(encoding="utf-8"))


def by_section(folder: Path, captions: Path) -> dict[str, list[dict]]:
    """Section -> dicts name, title, alt, caption, source, of the figures that are there and not empty.

    captions: directory of the .rst files; those of another language lie in a directory of its name.
    """
    lang, sections = words.current(), {}
    captions = captions if lang == "en" else captions / lang
    for name, entry in listed().items():
        path, caption = folder / f"{name}.svg", captions / f"{name}.rst"
        if path.exists() and f"<dc:title>{EMPTY}<" not in path.read_text(encoding="utf-8"):
            text = _joined(caption.read_text(encoding="utf-8")) if caption.exists() else ""
            sections.setdefault(entry["section"], []).append(
                {"name": name, "title": entry["title"][lang], "alt": entry["alt"][lang], "caption": text,
                 "source": embedded(path)})  # fmt: skip
    return sections


def by_trait(folder: Path) -> list[dict]:
    """name and source of each figure of a single trait; files are named NUMBER-TRAIT.svg."""
    return [{"name": path.stem.split("-", 1)[-1], "source": embedded(path)} for path in sorted(folder.glob("*.svg"))]


def embedded(path: Path) -> str:
    """A figure as the address of an image."""
    return "data:image/svg+xml;base64," + base64.b64encode(path.read_bytes()).decode()


def _joined(text: str) -> str:
    """The lines of a caption as one: Japanese lines without a space between."""
    return ("" if words.current() == "ja" else " ").join(line.strip() for line in text.split("\n")).strip()
