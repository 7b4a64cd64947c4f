"""Speech Commands: spoken words, split by lists of files."""

from pathlib import Path

from audiostyle.errors import InputError
from components.preprocess.datasets.base import (
    Definition,
    File,
    Source,
    folders,
    near,
    recordings,
    relative,
)

_LISTS = {"validation_list.txt": "validation", "testing_list.txt": "test"}


def _find(root: Path) -> Path | None:
    return next((f for f in near(root) if all((f / name).is_file() for name in _LISTS)), None)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is no text in UTF-8: {error}") from None


def _read(root: Path, base: Path) -> list[Source]:
    listed = {line.strip(): split for name, split in _LISTS.items() for line in _lines(base / name)}
    return [
        Source(
            relative(path, root),
            folder.name,
            split=listed.get(f"{folder.name}/{path.name}", "train"),
            group=path.stem.split("_nohash_")[0],
            source_id=path.stem,
        )
        for folder in folders(base)
        if not folder.name.startswith("_")  # _background_noise_ is no word
        for path in recordings(folder)
    ]


DEFINITION = Definition(
    "speechcommands",
    _find,
    _read,
    needs=" and ".join(_LISTS),
    rank=42,
    title="105,829 words of 1 s, 35 classes",
    files=(
        File(
            "http://download.tensorflow.org/data/speech_commands_v0.02.tar.gz",
            "sha256:af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
        ),
    ),
    size=2_400_000_000,
    license="CC BY 4.0",
    citation="P. Warden: Speech Commands: A Dataset for Limited-Vocabulary Speech Recognition,"
    " arXiv:1804.03209",
)
