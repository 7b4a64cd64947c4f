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
    """A file, a folder, or an address, as text; shells complete files. An argument is not empty."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The text."""
        if value == "" and isinstance(param, click.Argument):
            self.fail("is empty; a path or an address is needed", param, ctx)
        return super().convert(value, param, ctx)

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


class FilePath(click.Path):
    """A path that is not empty; click's own takes an empty text for the current folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path of a text."""
        if value == "":
            self.fail("is empty; a path is needed", param, ctx)
        return super().convert(value, param, ctx)


def own_type(parameter: click.Parameter) -> "click.ParamType[Any]":
    """The type to use for an option or argument that was declared with one of click's.

    Of a text, what the help calls it says whether it is a place, one of several words, or any text.
    """
    kind = parameter.type
    if type(kind) is click.Path:
        return FilePath(file_okay=kind.file_okay, path_type=kind.type)
    if type(kind) is not StringParamType:
        return kind
    is_option = isinstance(parameter, click.Option)
    name = parameter.metavar or ("" if is_option else parameter.name) or ""
    if name.upper() in _PLACES:
        return Place()
    words = [word for word in name.split("|") if word.islower()]
    return Word(words) if "|" in name else kind
