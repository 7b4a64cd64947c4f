"""JSON and YAML by anybody: values that can be worked with, or a ValueError that says why not.

The parsers themselves let through, or end with errors of their own for: numbers that are not
finite, halves of surrogate pairs, which no file or terminal takes, nesting deeper than the stack,
and ten lines of YAML that stand for more than any memory holds.
"""

import json
from typing import Any

import yaml


def json_value(text: str | bytes, *, finite: bool = True) -> Any:
    """The value of a JSON document, all of which can be written as JSON in UTF-8 again.

    finite: whether NaN and Infinity, which Python writes but JSON does not know, are refused.
    """
    try:
        value = json.loads(text)
        json.dumps(value, ensure_ascii=False, allow_nan=not finite).encode()
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    return value


class _Loader(yaml.SafeLoader):
    """YAML without aliases: a few lines of them stand for billions of values, or for themselves."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(
                None, None, f"has the alias *{event.anchor}, and none is followed", event.start_mark
            )
        return super().compose_node(parent, index)


def yaml_value(text: str) -> Any:
    """The value of a YAML document: scalars, lists and mappings, without aliases."""
    try:
        return yaml.load(text, _Loader)  # noqa: S506, a SafeLoader
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except (yaml.YAMLError, LookupError, AttributeError, TypeError, ValueError) as error:
        # The loader's own constructors trip over tags that their scalars do not fit.
        raise ValueError(" ".join(str(error).split()) or type(error).__name__) from None
