"""Weights of a network from a file: looked at before work, matched strictly, named by a hash."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors

from audiostyle.artifacts import file_digest
from audiostyle.errors import InputError
from audiostyle.pickles import is_pickle
from audiostyle.recordings import as_place, fetch, is_object
from audiostyle.store import open_store
from audiostyle.tensors import require_header
from audiostyle.uris import split_object
from components.stylize.networks.catalog import CATALOG
from components.stylize.networks.names import published_names

if TYPE_CHECKING:  # they import torch, for which settings do not wait
    from components.stylize.config import StylizeConfig
    from components.stylize.networks.stacks import Stack

RANDOM = "random"
# Of a safetensors file's metadata, as `audiostyle networks convert` writes them.
SOURCE, SOURCE_SHA256, LICENSE = "source", "source_sha256", "license"
_UNSTATED = "not stated"
_TYPES = ("F64", "F32", "F16", "BF16")


@dataclass(frozen=True)
class Origin:
    """What is known of weights. name: of their file, or `random`; sha256: of it."""

    name: str
    sha256: str = ""
    source: str = ""
    source_sha256: str = ""
    license: str = _UNSTATED

    def plain(self) -> dict[str, str]:
        """By name, without what is not known."""
        return {name: value for name, value in vars(self).items() if value}


def pinned(config: "StylizeConfig") -> "StylizeConfig":
    """Settings whose `weights_sha256` says which weights are meant, whatever lies at the path.

    A file is read and matched with the network. Of an object the hash has to be given; that it is
    there, and begins as safetensors do, is looked at. Without a network, the settings as they are.
    Raises InputError naming the file and what is wrong with it.
    """
    if config.weights in (None, RANDOM):
        return config
    _require_network(config)
    weights, wanted = _place(str(config.weights)), config.weights_sha256
    if is_object(weights):
        _look_at_object(weights, wanted)
        return config.model_copy(update={"weights": weights})
    path = Path(weights)
    digest = _checked(str(config.network), path, *_state(path))
    _require_digest(weights, digest, wanted)
    return config.model_copy(update={"weights": str(path.absolute()), "weights_sha256": digest})


def require_hash(config: "StylizeConfig") -> None:
    """Raise InputError for weights that a cluster's task could not know to be the ones meant."""
    if config.weights in (None, RANDOM):
        return
    _require_network(config)
    if not config.weights_sha256:
        raise InputError(
            f"weights: {config.weights}: is read by tasks of the cluster, not from here: give the"
            " hash that it must have there with weights_sha256 (networks convert prints it)"
        )


def _require_network(config: "StylizeConfig") -> None:
    if config.network is None:
        raise InputError(f"network: weights {config.weights} are of one of {', '.join(CATALOG)}")


def load(stack: "Stack", config: "StylizeConfig") -> Origin:
    """Give a network the weights that the settings name. Raises InputError as `pinned` does."""
    import torch

    from components.stylize.networks.stacks import randomize

    if config.weights == RANDOM:
        randomize(stack, config.seed)
        return Origin(RANDOM, license="none: drawn here")
    weights = _place(str(config.weights))
    with _local(weights) as path:
        _state(path)
        with _opened(path) as file:
            names = _require_match(stack, file, path)
            named = {name: file.get_tensor(names[name]).float() for name in stack.shapes()}
            metadata = file.metadata() or {}
        digest = file_digest(path)
    _require_digest(weights, digest, config.weights_sha256)
    for name, value in named.items():
        if not torch.isfinite(value).all():
            raise InputError(f"weights: {weights}: {name} has values that are not finite")
    stack.load_state_dict(
        named, strict=False
    )  # shapes were matched; counts of batches are not used
    return _origin(stack.name, Path(weights).name, digest, metadata)


def _origin(network: str, name: str, digest: str, metadata: dict[str, str]) -> Origin:
    source = metadata.get(SOURCE_SHA256, digest)
    published = any(source.startswith(prefix) for _, prefix in CATALOG[network].published)
    known = CATALOG[network].license if published else _UNSTATED
    return Origin(
        name,
        digest,
        metadata.get(SOURCE, ""),
        metadata.get(SOURCE_SHA256, ""),
        metadata.get(LICENSE) or known,
    )


def _place(text: str) -> str:
    """A path, or s3://bucket/key. Raises InputError for any other address."""
    try:
        return as_place(text)
    except InputError as error:
        raise InputError(f"weights: {error}") from None


def _state(path: Path) -> tuple[int, int, int]:
    """What changes when a file does. Raises InputError where there is no file of weights."""
    try:
        if not path.is_file():
            reason = "is not a file" if path.exists() else "does not exist"
            raise InputError(f"weights: {path}: {reason}")
        if is_pickle(path):
            raise InputError(
                f"weights: {path}: is a file of PyTorch, which is not loaded; make safetensors of"
                f" it: audiostyle networks convert {path} OUT.safetensors"
            )
        status = path.stat()
    except (OSError, ValueError) as error:
        raise InputError(f"weights: {path}: cannot be read: {error}") from None
    return status.st_size, status.st_mtime_ns, status.st_ino


@lru_cache(maxsize=16)
def _checked(network: str, path: Path, *state: int) -> str:
    """SHA-256 of a file that fits a network. state: of the file, so that a new one is read."""
    import torch

    from components.stylize.networks.stacks import build

    with torch.device("meta"):  # its shapes alone
        stack = build(network)
    with _opened(path) as file:
        _require_match(stack, file, path)
    return file_digest(path)


def match(network: str, path: Path) -> None:
    """Raise InputError unless a safetensors file has the weights of a network, and no others."""
    _checked(network, path, *_state(path))


def _require_match(stack: "Stack", file: Any, path: Path) -> dict[str, str]:
    """From the network's names to the file's.

    Raises InputError naming the first key that is missing, has another shape, or is unknown.
    """
    try:
        there = published_names(stack.name, file.keys())
    except InputError as error:
        raise InputError(f"weights: {path}: {error}") from None
    wanted = stack.shapes()
    # All that classifies behind the convolutions, or none of it.
    for head in (stack.head, *stack.more_heads):
        if any(name in head for name in there):
            wanted = wanted | head
    for name, shape in wanted.items():
        if name not in there:
            raise InputError(f"weights: {path}: lacks {name}, which {stack.name} has")
        part = file.get_slice(there[name])
        if tuple(part.get_shape()) != shape:
            raise InputError(
                f"weights: {path}: {there[name]} has the shape {list(part.get_shape())};"
                f" {stack.name} has {list(shape)}"
            )
        if part.get_dtype() not in _TYPES:
            raise InputError(
                f"weights: {path}: {there[name]} is of the type {part.get_dtype()};"
                f" one of {', '.join(_TYPES)} is needed"
            )
    for name, own in there.items():
        if name not in wanted and not name.endswith("num_batches_tracked"):
            raise InputError(f"weights: {path}: has {own}, which {stack.name} has not")
    return there


def _require_start(start: bytes) -> None:
    """Raise ValueError where the first nine bytes of a file are not those of safetensors."""
    if start[8:9] != b"{":
        raise ValueError("does not begin with a header")
    require_header(start)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with path.open("rb") as stream:
            _require_start(stream.read(9))
        with safetensors.safe_open(path, "pt") as file:
            yield file
    except (OSError, KeyError, ValueError, safetensors.SafetensorError) as error:
        raise InputError(f"weights: {path}: is not safetensors: {error}") from None


@contextmanager
def _local(weights: str) -> Iterator[Path]:
    """The file, fetched where it is an object."""
    if not is_object(weights):
        yield Path(weights)
        return
    with tempfile.TemporaryDirectory(prefix="audiostyle-weights-") as folder:
        path = Path(folder) / "weights.safetensors"
        fetch(weights, path)
        yield path


def _look_at_object(weights: str, wanted: str | None) -> None:
    if not wanted:
        raise InputError(
            f"weights: {weights}: is in a bucket, and every task has to know that it has the same"
            " file: give its hash with --weights-sha256 (networks convert prints it)"
        )
    bucket, key = split_object(weights)
    store = open_store(bucket)
    if store.size(key) is None:
        raise InputError(f"weights: {weights}: there is no such object")
    with store.open(key) as stream:
        start = next(iter(stream.chunks), b"")
    try:
        _require_start(start)
    except ValueError as error:
        raise InputError(f"weights: {weights}: is not safetensors: {error}") from None


def _require_digest(weights: str, digest: str, wanted: str | None) -> None:
    if wanted and digest != wanted.lower():
        raise InputError(f"weights: {weights}: expected SHA-256 {wanted}, got {digest}")
