"""The report's language: every text that a figure or the page shows is written in English and translated here.

words.ja.yaml holds `English: Japanese`. A text without a translation stays English.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path

import yaml

LANGUAGES = ("en", "ja")
FEWEST = 7  # letters of a sentence that is known again with its fields filled in
_language: ContextVar[str] = ContextVar("language", default="en")


@contextmanager
def language(lang: str) -> Iterator[None]:
    """Texts are told in this language, one of LANGUAGES, inside the block."""
    if lang not in LANGUAGES:
        raise ValueError(f"language is {lang!r}, expected one of {', '.join(LANGUAGES)}")
    token = _language.set(lang)
    try:
        yield
    finally:
        _language.reset(token)


def current() -> str:
    """The language of the block we are in; English outside of any."""
    return _language.get()


def t(text: str) -> str:
    """The text in the current language; fields such as {n} are filled in afterwards: t("{n} hits").format(n=3)."""
    return text if current() == "en" else translations(current()).get(text, text)


def told(text: str) -> str:
    """A sentence that another part wrote, with its numbers filled in, in the current language: by the translation of
    the same sentence, or else of one whose {fields} it fills in."""
    if current() == "en" or text in translations(current()):
        return t(text)
    for pattern, translation in _templates(current()):
        if match := pattern.fullmatch(text):
            filled = match.groupdict()
            return translation.format(**{k: t(", ").join(map(told, v.split(", "))) for k, v in filled.items()})
    return re.sub(r"([-\d.]+) to ([-\d.]+)", t("{low} to {high}").format(low=r"\1", high=r"\2"), text)


@cache
def _templates(lang: str) -> list[tuple[re.Pattern, str]]:
    """Sentences with fields, most words first, that find themselves in a text: those of some letters of their own."""
    letters = {text: len(re.findall(r"[A-Za-z]", re.sub(r"\{\w+\}", "", text))) for text in translations(lang)}
    found = [(text, other) for text, other in translations(lang).items() if "{" in text and letters[text] >= FEWEST]
    found.sort(key=lambda pair: -letters[pair[0]])
    patterns = [re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+?)", re.escape(text)) for text, _ in found]
    return [(re.compile(pattern, re.DOTALL), other) for pattern, (_, other) in zip(patterns, found, strict=True)]


@cache
def translations(lang: str) -> dict[str, str]:
    """English text -> translation."""
    path = Path(__file__).with_name(f"words.{lang}.yaml")
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {}
