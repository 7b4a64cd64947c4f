"""Types of options and arguments: what click's own take too much, or complete too little of."""

import math
from collections.abc import Sequence
from typing import Any

import click
from click.shell_completion import CompletionItem
from click.types import StringParamType

# What the help calls values that are files, folders, or addresses of these.
_PLACES = frozenset(("CONTENT", "CSV", "DATA", "DIR", "FILE", "FOLDER", "GLOB", "STYLE", "URI"))


class Number(click.FloatRange):
    """A finite number in a range; click's own takes nan for one of any range."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The number of a text."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number


class Place(StringParamType):
    """A file, a folder, or an address, as text; shells complete files."""

    def shell_complete(
        self, _ctx: click.Context, _param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Files, which the shell looks for itself."""
        return [CompletionItem(incomplete, type="file")]


class Word(StringParamType):
    """A text, of which shells complete some words."""

    def __init__(self, words: Sequence[str]) -> None:
        self._words = words

    def shell_complete(
        self, _ctx: click.Context, _param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The words that begin so."""
        return [CompletionItem(word) for word in self._words if word.startswith(incomplete)]


def text_type(metavar: str) -> StringParamType:
    """The type of a text that the help calls so: a place, one of several words, or any text."""
    if metavar.upper() in _PLACES:
        return Place()
    words = [word for word in metavar.split("|") if word.islower()]
    return Word(words) if "|" in metavar else StringParamType()
