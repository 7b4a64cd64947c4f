"""JSON and YAML by anybody: values that can be worked with, or a ValueError that says why not.

The parsers themselves let through, or end with errors of their own for: numbers that are not
finite, halves of surrogate pairs, which no file or terminal takes, nesting deeper than the stack,
numbers of more digits than Python writes, and ten lines of YAML that stand for more than any
memory holds.
"""

import json
import re
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


# What people write as numbers, in decimal. YAML 1.1 would read 010 as eight, 1_000 as a thousand,
# 0x1F as thirty-one, 1:30 as ninety, `yes` and `on` as true, and 2026-01-02 as a date: all of
# these stay text, and a field that takes no text refuses them with its name.
_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NULL = re.compile("null|Null|NULL|")
_SIGNS = list("-+.0123456789")


class _Loader(yaml.SafeLoader):
    """YAML without aliases: a few lines of them stand for billions of values, or for themselves."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(
                None, None, f"has the alias *{event.anchor}, and none is followed", event.start_mark
            )
        return super().compose_node(parent, index)


def _int(loader: Any, node: Any) -> int:
    text = loader.construct_scalar(node)
    if not _INT.fullmatch(text):
        raise ValueError(f"has {text!r:.80}, which is no decimal integer")
    if len(text) > sys.get_int_max_str_digits():
        raise ValueError(f"has a number of {len(text)} digits")
    return int(text)


def _float(loader: Any, node: Any) -> float:
    text = loader.construct_scalar(node)
    if not _FLOAT.fullmatch(text):
        raise ValueError(f"has {text!r:.80}, which is no decimal number")
    return float(text)


def _bool(loader: Any, node: Any) -> bool:
    text = loader.construct_scalar(node)
    if text not in _BOOL:
        raise ValueError(f"has {text!r:.80}, which is neither true nor false")
    return _BOOL[text]


def _null(loader: Any, node: Any) -> None:
    text = loader.construct_scalar(node)
    if text == "~":
        line = node.start_mark.line + 1
        raise ValueError(f"line {line}: has a bare ~; write null, or '~' in quotes for the text")


def _mapping(loader: Any, node: Any, deep: bool = False) -> dict[Any, Any]:
    if not isinstance(node, yaml.MappingNode):
        raise ValueError(f"has no mapping in line {node.start_mark.line + 1}")
    values: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in values:
            raise ValueError(f"line {key_node.start_mark.line + 1}: has {key!r:.80} a second time")
        values[key] = loader.construct_object(value_node, deep=deep)
    return values


def read_plainly(kind: Any) -> None:
    """Let a class of YAML loaders read numbers as people write them, and text as it is written.

    Keys that come twice are errors.
    """
    kind.yaml_implicit_resolvers = {}
    for name, pattern, first, construct in (
        ("null", re.compile(f"(?:{_NULL.pattern}|~)$"), ["~", "n", "N", ""], _null),
        ("bool", re.compile(f"(?:{'|'.join(_BOOL)})$"), list("tTfF"), _bool),
        ("int", re.compile(f"(?:{_INT.pattern})$"), _SIGNS, _int),
        ("float", re.compile(f"(?:{_FLOAT.pattern})$"), _SIGNS, _float),
    ):
        tag = f"tag:yaml.org,2002:{name}"
        kind.add_implicit_resolver(tag, pattern, first)
        kind.add_constructor(tag, construct)
    kind.construct_mapping = _mapping


read_plainly(_Loader)


def yaml_value(text: str) -> Any:
    """The value of a YAML document: scalars, lists and mappings, without aliases."""
    try:
        return yaml.load(text, _Loader)  # noqa: S506, a SafeLoader
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except (yaml.YAMLError, LookupError, AttributeError, TypeError, ValueError) as error:
        # The loader's own constructors trip over tags that their scalars do not fit.
        raise ValueError(" ".join(str(error).split()) or type(error).__name__) from None
