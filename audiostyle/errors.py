"""Errors that a person can act on: each names the file or field, the value, and what would do."""

from pathlib import Path


class AudiostyleError(Exception):
    """Something audiostyle can explain. Command lines print it on one line and exit with 1."""

    exit_code = 1


class InputError(AudiostyleError):
    """What the caller gave is wrong: a file, a setting, a row. Command lines exit with 2."""

    exit_code = 2


class AudioError(InputError):
    """A recording cannot be used: missing, empty, silent, corrupt or too short."""

    def __init__(self, path: Path | str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = str(path)
        self.reason = reason


class ArtifactError(InputError):
    """A folder or file is not the artifact that a stage reads."""

    def __init__(self, path: Path | str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = str(path)
        self.reason = reason
