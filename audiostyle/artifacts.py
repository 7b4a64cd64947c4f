"""The formats in which stages hand work to each other: a folder, with a manifest beside its data.

`manifest.json` names the format and its version, the configurations that made the data, and the
SHA-256 of every other file. A reader refuses a format or version that it does not know and a
file that is not what was written. Tensors are safetensors, tables JSON lines; nothing is pickled.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from pydantic import Field, JsonValue, TypeAdapter, ValidationError

from audiostyle.config import Config, problems
from audiostyle.errors import ArtifactError
from audiostyle.files import replacing_folder, write_text
from audiostyle.pickles import is_pickle
from audiostyle.untrusted import json_value

R = TypeVar("R")

MANIFEST = "manifest.json"
# Where kfp's launcher puts artifacts of an object store: /s3/BUCKET/PREFIX.
_MOUNTS = (("s3",), ("minio",), ("gcs",))

SPECTROGRAM_SET = "audiostyle/spectrogram-set"
CLASSIFIER = "audiostyle/classifier"
STYLIZED_SET = "audiostyle/stylized-set"
AUDIO_SET = "audiostyle/audio-set"
REPORT_EXCERPT = "audiostyle/report-excerpt"

# The versions that this release writes, and the only ones that it reads.
VERSIONS = {
    SPECTROGRAM_SET: 1,
    CLASSIFIER: 1,
    STYLIZED_SET: 2,
    AUDIO_SET: 1,
    REPORT_EXCERPT: 1,
}


class Manifest(Config):
    """What an artifact is and what it holds."""

    format: str
    version: int
    config: dict[str, JsonValue] = Field(default_factory=dict)
    files: dict[str, str] = Field(
        default_factory=dict, description="relative POSIX path to SHA-256"
    )


@dataclass(frozen=True)
class Artifact:
    """An artifact that was opened: its folder, and the manifest that it was checked against."""

    folder: Path
    manifest: Manifest

    @property
    def config(self) -> dict[str, Any]:
        """The configurations recorded by the stage that wrote it."""
        return self.manifest.config

    def path(self, name: str) -> Path:
        """Path of one of its files. Raises ArtifactError unless the manifest lists it."""
        if name not in self.manifest.files:
            raise ArtifactError(self.folder, f"{MANIFEST} lists no file {name!r}")
        return self.folder / name

    def table(self, *names: str) -> dict[str, Any]:
        """A part of `config` by the names that lead to it; empty where there is none.

        Raises ArtifactError where it is something else.
        """
        value: Any = self.config
        for name in names:
            value = value.get(name)
            if value is None:
                return {}
            if not isinstance(value, dict):
                where = ".".join(("config", *names))
                raise ArtifactError(
                    self.folder / MANIFEST, f"{where}: a table is needed (got {value!r:.80})"
                )
        return dict(value)

    @property
    def digest(self) -> str:
        """SHA-256 over configuration and content: equal for equal artifacts, wherever they lie."""
        return digest_of(self.manifest.plain())


@contextmanager
def writing(folder: Path | str, format: str, config: dict[str, Any]) -> Iterator[Path]:
    """Make an artifact: yields a temporary folder to fill, which becomes `folder` at the end.

    An error inside leaves `folder` as it was. An artifact already there is replaced whole; any
    other non-empty folder is refused with ArtifactError.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise ArtifactError(folder, "is in the way: a file, where a folder is to be written")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MANIFEST).is_file():
        raise ArtifactError(folder, "is in the way: a folder with other files in it")
    with replacing_folder(folder) as temporary:
        yield temporary
        files = {
            path.relative_to(temporary).as_posix(): file_digest(path)
            for path in sorted(temporary.rglob("*"))
            if path.is_file()
        }
        manifest = Manifest(format=format, version=VERSIONS[format], config=config, files=files)
        write_text(temporary / MANIFEST, json.dumps(manifest.plain(), indent=1))
        # Temporary files are private; what a stage hands on, the next one's user must read.
        for path in (temporary, *temporary.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)


def opening(folder: Path | str, format: str) -> Artifact:
    """Open an artifact and check it: format, version, and the hash of every file.

    Raises ArtifactError that says which file is missing, damaged, a pickle, or of an unknown
    format.
    """
    folder = Path(folder)
    path = folder / MANIFEST
    if folder.parts[1:2] in _MOUNTS and not (folder.is_dir() and any(folder.iterdir())):
        raise ArtifactError(
            folder,
            "is empty: the artifact is gone from the store, though Kubeflow's cache still names it;"
            " submit the run again with --no-cache",
        )
    if not folder.is_dir():
        raise ArtifactError(folder, f"is not a folder with an {format} artifact")
    if not path.is_file():
        raise ArtifactError(folder, f"has no {MANIFEST}, so it is not an {format} artifact")
    try:
        values = json_value(path.read_bytes())
    except (ValueError, OSError) as error:
        raise ArtifactError(path, f"is not JSON: {error}") from None
    manifest = Manifest.parse(values, path)
    if manifest.format != format:
        raise ArtifactError(path, f"is of format {manifest.format!r}; {format!r} is needed")
    if manifest.version != VERSIONS[format]:
        raise ArtifactError(
            path,
            f"is {format} version {manifest.version};"
            f" this release reads version {VERSIONS[format]}",
        )
    for there in sorted(folder.rglob("*")):
        # Listed or not: whoever can add a file can add a line.
        if there.is_file() and is_pickle(there):
            raise ArtifactError(there, "is a pickle, and pickles are never loaded")
    for name, digest in manifest.files.items():
        pure = PurePosixPath(name)
        if pure.is_absolute() or ".." in pure.parts:
            raise ArtifactError(path, f"lists a file outside the artifact: {name!r}")
        if not (folder / name).is_file():
            raise ArtifactError(folder / name, "is missing, though the manifest lists it")
        if file_digest(folder / name) != digest:
            raise ArtifactError(folder / name, "is damaged: its SHA-256 is not the manifest's")
    return Artifact(folder, manifest)


def file_digest(path: Path | str) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def bytes_digest(content: bytes) -> str:
    """SHA-256 of bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def digest_of(value: Any) -> str:
    """SHA-256 of a JSON value, whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return bytes_digest(text.encode())


def write_table(path: Path | str, rows: Iterable[dict[str, Any]]) -> None:
    """Write rows as JSON lines."""
    lines = [json.dumps(row, allow_nan=False, ensure_ascii=False) for row in rows]
    write_text(path, "".join(f"{line}\n" for line in lines))


def read_rows(path: Path | str, row: type[R]) -> tuple[R, ...]:
    """Read JSON lines as dataclasses, every field of its type and no others.

    Raises ArtifactError naming the file, the line and the field.
    """
    kind = TypeAdapter(row)
    names = {field.name for field in fields(row)}  # type: ignore[arg-type]
    parsed = []
    for number, values in enumerate(read_table(path), 1):
        if unknown := sorted(values.keys() - names):
            raise ArtifactError(path, f"line {number}: has the unknown field {unknown[0]!r:.80}")
        try:
            parsed.append(kind.validate_python(values))
        except ValidationError as error:
            raise ArtifactError(path, f"line {number}: {problems(error)[0]}") from None
    return tuple(parsed)


def read_table(path: Path | str) -> list[dict[str, Any]]:
    """Read JSON lines. Raises ArtifactError naming the file and the line that is not a row."""
    rows = []
    # Not splitlines: a line of JSON may hold what Unicode, but not JSON, takes for a line's end.
    for number, line in enumerate(Path(path).read_bytes().removesuffix(b"\n").split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            row = json_value(line)
        except ValueError as error:
            raise ArtifactError(path, f"line {number} is not JSON: {error}") from None
        if not isinstance(row, dict):
            raise ArtifactError(path, f"line {number} is not an object: {line.decode():.80}")
        rows.append(row)
    return rows
