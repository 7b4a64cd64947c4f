"""The pickle inside a PyTorch file, read without unpickling: names of tensors and where they lie.

A pickle is a program. This one knows the opcodes that a dictionary of tensors is written with
(protocol 2), and of the globals those that PyTorch names in it; it calls none of them. Any other
opcode or global ends the reading. What comes out are descriptions of tensors, not tensors.
"""

import io
import math
import pickletools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

# Bytes of a pickle: one of a thousand tensors has 100 kB.
MOST_BYTES = 8 << 20
_MOST_AXES = 8
_MOST = 1 << 48  # of any size, offset or stride

# What PyTorch calls storages of a type, and the type in safetensors' words.
STORAGES = {
    "torch.FloatStorage": ("float32", 4),
    "torch.DoubleStorage": ("float64", 8),
    "torch.HalfStorage": ("float16", 2),
    "torch.BFloat16Storage": ("bfloat16", 2),
    "torch.LongStorage": ("int64", 8),
    "torch.IntStorage": ("int32", 4),
    "torch.ShortStorage": ("int16", 2),
    "torch.CharStorage": ("int8", 1),
    "torch.ByteStorage": ("uint8", 1),
    "torch.BoolStorage": ("bool", 1),
}
_DICTIONARY = "collections.OrderedDict"
_TENSOR = "torch._utils._rebuild_tensor_v2"
_OLD_TENSOR = "torch._utils._rebuild_tensor"
_PARAMETER = "torch._utils._rebuild_parameter"
_GLOBALS = {_DICTIONARY, _TENSOR, _OLD_TENSOR, _PARAMETER, *STORAGES}


@dataclass(frozen=True)
class Storage:
    """A run of numbers in the file. key: its name there; dtype: of torch; size: numbers."""

    key: str
    dtype: str
    width: int
    size: int


@dataclass(frozen=True)
class View:
    """A tensor in a storage. offset, strides: in numbers."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True)
class _Global:
    name: str


class _Mark:
    """The opcode MARK on the stack."""


def read(pickle: bytes | io.BytesIO, storages: dict[str, Storage] | None = None) -> Any:
    """The value of a pickle of plain values, dictionaries and tensors (as `View`).

    pickle: of a stream, the next one is read, and the stream stands behind it. storages: where
    every storage that the pickle names is put, by key. Raises ValueError that names the opcode or
    global that is not allowed, or says what is damaged.
    """
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    try:
        for name, argument in _opcodes(pickle):
            if name == "STOP":
                return _pop(stack)
            _step(name, argument, stack, memo)
            if name == "BINPERSID" and storages is not None:
                storages[stack[-1].key] = stack[-1]
    except (LookupError, TypeError, OverflowError) as error:
        raise ValueError(f"has a damaged pickle: {type(error).__name__}: {error}") from None
    raise ValueError("has a damaged pickle: it has no end")


def _opcodes(pickle: bytes | io.BytesIO) -> Iterator[tuple[str, Any]]:
    """Names and arguments of opcodes, up to STOP. Raises ValueError for bytes that are none."""
    try:
        for opcode, argument, _ in pickletools.genops(pickle):
            yield opcode.name, argument
    except ValueError as error:
        raise ValueError(f"has a damaged pickle: {error}") from None


def tensors_of(value: Any) -> dict[str, View]:
    """The dictionary of tensors that a pickle's value is, or that a checkpoint has as one entry.

    Beside it, a checkpoint has what a training resumes from, such as `epoch` and `optimizer`.
    Raises ValueError naming what is no tensor, or the dictionaries where there are several.
    """
    if not isinstance(value, dict):
        kind = "tensor" if isinstance(value, View) else type(value).__name__
        raise ValueError(f"holds no dictionary of tensors, but a {kind}")
    other = [name for name, part in value.items() if not _is_tensor(name, part)]
    if not other:
        return value
    inner = [name for name in other if _is_state_dict(value[name])]
    if len(inner) == 1:
        return dict(value[inner[0]])
    if inner:
        names = ", ".join(repr(name) for name in inner[:9])
        raise ValueError(f"has several dictionaries of tensors, {names:.200}: save one of them")
    raise ValueError(f"has {str(other[0])!r:.80}, which is no tensor; save a state_dict()")


def _is_tensor(name: Any, value: Any) -> bool:
    return isinstance(name, str) and isinstance(value, View)


def _is_state_dict(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and bool(value)
        and all(_is_tensor(name, part) for name, part in value.items())
    )


_PLAIN = {
    "BININT",
    "BININT1",
    "BININT2",
    "LONG1",
    "BINFLOAT",
    "BINUNICODE",
    "SHORT_BINUNICODE",
    "BINSTRING",
    "SHORT_BINSTRING",
}
_VALUES: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def _step(name: str, argument: Any, stack: list[Any], memo: dict[int, Any]) -> None:
    """One opcode."""
    if name in ("PROTO", "FRAME"):
        return
    if name in _PLAIN:
        stack.append(argument)
    elif name in _VALUES:
        stack.append(_VALUES[name])
    elif name == "EMPTY_DICT":
        stack.append({})
    elif name == "EMPTY_LIST":
        stack.append([])
    elif name == "MARK":
        stack.append(_Mark())
    elif name == "TUPLE":
        stack.append(tuple(_from_mark(stack)))
    elif name in _TUPLES:
        parts = [_pop(stack) for _ in range(_TUPLES[name])]
        stack.append(tuple(reversed(parts)))
    elif name in ("BINPUT", "LONG_BINPUT"):
        memo[argument] = stack[-1]
    elif name == "MEMOIZE":
        memo[len(memo)] = stack[-1]
    elif name in ("BINGET", "LONG_BINGET"):
        stack.append(memo[argument])
    elif name == "SETITEM":
        value, key = _pop(stack), _pop(stack)
        _set(stack[-1], [key, value])
    elif name == "SETITEMS":
        pairs = _from_mark(stack)
        _set(stack[-1], pairs)
    elif name in ("APPEND", "APPENDS"):
        parts = [_pop(stack)] if name == "APPEND" else _from_mark(stack)
        if not isinstance(stack[-1], list):
            raise ValueError("has a damaged pickle: appends to no list")
        stack[-1].extend(parts)
    elif name in ("GLOBAL", "STACK_GLOBAL"):
        stack.append(_global(argument, stack if name == "STACK_GLOBAL" else None))
    elif name == "BINPERSID":
        stack.append(_storage(_pop(stack)))
    elif name == "REDUCE":
        arguments, function = _pop(stack), _pop(stack)
        stack.append(_call(function, arguments))
    elif name == "BUILD":
        # Of a state_dict, its `_metadata`, which is versions of modules: not needed.
        _pop(stack)
        if not isinstance(stack[-1], dict):
            raise ValueError("has code in its pickle: it sets an object's state; nothing was run")
    else:
        raise ValueError(f"has the opcode {name} in its pickle, which no dictionary of tensors has")


def _pop(stack: list[Any]) -> Any:
    value = stack.pop()
    if isinstance(value, _Mark):
        raise ValueError("has a damaged pickle: a mark in place of a value")
    return value


def _from_mark(stack: list[Any]) -> list[Any]:
    values = []
    while not isinstance(value := stack.pop(), _Mark):
        values.append(value)
    return values[::-1]


def _set(target: Any, pairs: list[Any]) -> None:
    if not isinstance(target, dict) or len(pairs) % 2:
        raise ValueError("has a damaged pickle: sets items of no dictionary")
    for key, value in zip(pairs[::2], pairs[1::2], strict=True):
        if not isinstance(key, str | int):
            raise ValueError(f"has a dictionary with a key that is no text: {type(key).__name__}")
        if isinstance(key, str) and key in target:
            raise ValueError(f"has {key!r:.80} a second time")
        target[key] = value


def _global(argument: Any, stack: list[Any] | None) -> _Global:
    if stack is None:
        name = str(argument).replace(" ", ".", 1)
    else:
        last, module = _pop(stack), _pop(stack)
        if not isinstance(module, str) or not isinstance(last, str):
            raise ValueError("has a damaged pickle: a global without a name")
        name = f"{module}.{last}"
    if name not in _GLOBALS:
        raise ValueError(
            f"has the global {name!r:.120} in its pickle, which is no part of a dictionary of"
            " tensors; nothing was run. A state_dict() that torch.save wrote is needed"
        )
    return _Global(name)


def _call(function: Any, arguments: Any) -> Any:
    """What a global that is allowed stands for. Nothing is called."""
    if not isinstance(function, _Global) or not isinstance(arguments, tuple):
        raise ValueError("has code in its pickle: it calls what is no global; nothing was run")
    if function.name == _DICTIONARY:
        values: dict[Any, Any] = {}
        for pair in arguments[0] if arguments else ():
            # Measured first: a list may be in another a million times.
            if not isinstance(pair, list | tuple) or len(pair) != 2:
                raise ValueError("has a damaged pickle: sets items of no dictionary")
            _set(values, list(pair))
        return values
    if function.name in (_TENSOR, _OLD_TENSOR):
        if any(arguments[6:]):
            raise ValueError("has a tensor that is negated or conjugated when read; save a copy")
        return _view(*arguments[:4])
    if function.name == _PARAMETER and isinstance(arguments[0], View):
        return arguments[0]
    raise ValueError(f"has code in its pickle: it calls {function.name}; nothing was run")


def _storage(identity: Any) -> Storage:
    """A storage by its persistent id: ("storage", type, key, device, numbers[, view])."""
    if not isinstance(identity, tuple) or len(identity) not in (5, 6) or identity[0] != "storage":
        raise ValueError("has a damaged pickle: a persistent id of no storage")
    _, kind, key, _, size, *view = identity
    if not isinstance(kind, _Global) or kind.name not in STORAGES or not isinstance(key, str):
        raise ValueError("has a damaged pickle: a storage of no type")
    if view not in ([], [None]):
        raise ValueError("has storages that are views of others, which is not supported; save anew")
    return Storage(key, *STORAGES[kind.name], _whole(size))


def _view(storage: Any, offset: Any, shape: Any, strides: Any) -> View:
    """A tensor that lies within its storage. Raises ValueError for any other."""
    if not isinstance(storage, Storage) or not isinstance(shape, tuple):
        raise ValueError("has a damaged pickle: a tensor without a storage or shape")
    if not isinstance(strides, tuple) or len(shape) != len(strides) or len(shape) > _MOST_AXES:
        raise ValueError("has a damaged pickle: a tensor with a shape that does not fit")
    offset = _whole(offset)
    sizes, steps = tuple(map(_whole, shape)), tuple(map(_whole, strides))
    count = math.prod(sizes)
    last = offset + sum((n - 1) * step for n, step in zip(sizes, steps, strict=True))
    # Of a stride of 0 a few bytes would stand for any number.
    if count and (last >= storage.size or count > storage.size):
        raise ValueError(f"has a tensor of the shape {list(sizes)} beyond its storage's end")
    return View(storage, offset, sizes, steps)


def _whole(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= _MOST:
        raise ValueError(f"has a damaged pickle: no size between 0 and {_MOST}")
    return int(value)
