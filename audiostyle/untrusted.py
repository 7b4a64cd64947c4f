"""JSON and YAML by anybody: values that can be worked with, or a ValueError that says why not.

The parsers themselves let through, or end with errors of their own for: numbers that are not
finite, halves of surrogate pairs, which no file or terminal takes, nesting deeper than the stack,
numbers of more digits than Python writes, and ten lines of YAML that stand for more than any
memory holds.
"""

import json
import sys
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


def _number(loader: Any, node: Any) -> Any:
    text = loader.construct_scalar(node)
    if ":" in text:
        # 1:30 is ninety to YAML 1.1 and text to 1.2. A long one takes the square of its length.
        return text
    if node.tag.endswith(":float"):
        return loader.construct_yaml_float(node)
    value = loader.construct_yaml_int(node)
    # Binary and hexadecimal digits are read without end, but can then not be shown.
    if value.bit_length() > 3 * sys.get_int_max_str_digits():
        raise ValueError(f"has a number of {value.bit_length()} bits")
    return value


def limit_numbers(kind: Any) -> None:
    """Let a class of YAML loaders read no number that cannot be worked with."""
    for name in ("int", "float"):
        kind.add_constructor(f"tag:yaml.org,2002:{name}", _number)


limit_numbers(_Loader)


def yaml_value(text: str) -> Any:
    """The value of a YAML document: scalars, lists and mappings, without aliases."""
    try:
        return yaml.load(text, _Loader)  # noqa: S506, a SafeLoader
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except (yaml.YAMLError, LookupError, AttributeError, TypeError, ValueError) as error:
        # The loader's own constructors trip over tags that their scalars do not fit.
        raise ValueError(" ".join(str(error).split()) or type(error).__name__) from None
