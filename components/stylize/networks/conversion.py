"""From a PyTorch file of weights to safetensors: no code in it is run."""

import re
from pathlib import Path
from typing import Any

from audiostyle.artifacts import file_digest
from audiostyle.errors import InputError
from audiostyle.files import replacing
from audiostyle.state_dicts import read_state_dict
from audiostyle.tensors import write as write_tensors
from components.stylize.networks.catalog import CATALOG
from components.stylize.networks.weights import LICENSE, SOURCE, SOURCE_SHA256, match

# PyTorch's convention: eight or more digits of the SHA-256 end a published file's name.
_HASH = re.compile(r"-([0-9a-f]{8,64})\.(?:pth|pt)$")


def convert(
    source: Path, target: Path, *, network: str | None = None, sha256: str = "", license: str = ""
) -> dict[str, Any]:
    """Write the tensors of a state dictionary as safetensors; returns what is known of them.

    network: whose keys and shapes they must have, exactly. sha256: of `source`. license: of the
    weights; that of published ones is known. Raises InputError naming the file and what is wrong
    with it; `target` is then not there.
    """
    digest = _digest(source, sha256)
    tensors = read_state_dict(source)
    if not tensors:
        raise InputError(f"{source}: holds no tensor")
    metadata = {SOURCE: source.name, SOURCE_SHA256: digest}
    if license := license or _known_license(digest):
        metadata[LICENSE] = license
    with replacing(target, durable=True) as temporary:
        write_tensors(temporary, tensors, metadata)
        if network:
            try:
                match(network, temporary)
            except InputError as error:
                text = str(error).removeprefix(f"weights: {temporary}: ")
                raise InputError(f"{source}: {text}") from None
    return {"sha256": file_digest(target), "tensors": len(tensors), **metadata}


def _digest(source: Path, wanted: str) -> str:
    """SHA-256 of a file, compared with what is given, and with what its name says."""
    if not source.is_file():
        reason = "is not a file" if source.exists() else "does not exist"
        raise InputError(f"{source}: {reason}")
    try:
        digest = file_digest(source)
    except OSError as error:
        raise InputError(f"{source}: cannot be read: {error.strerror}") from None
    if wanted and digest != wanted.lower():
        raise InputError(f"{source}: expected SHA-256 {wanted:.80}, got {digest}")
    named = _HASH.search(source.name)
    # Digits alone may be a date or a count, unless they are of a published file.
    says = named and (not named[1].isdecimal() or _is_published(named[1]))
    if named and says and not digest.startswith(named[1]):
        raise InputError(
            f"{source}: its name says that its SHA-256 begins with {named[1]}, but it is {digest}"
        )
    return digest


def _is_published(prefix: str) -> bool:
    return any(prefix == known for entry in CATALOG.values() for _, known in entry.published)


def _known_license(digest: str) -> str:
    for entry in CATALOG.values():
        if any(digest.startswith(prefix) for _, prefix in entry.published):
            return entry.license
    return ""
