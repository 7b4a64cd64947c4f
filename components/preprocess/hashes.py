"""Hashes of files as data sets publish them."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from audiostyle.errors import InputError

# Name to hexadecimal digits.
_DIGITS = {"md5": 32, "sha1": 40, "sha256": 64, "sha512": 128}
_TITLES = {"md5": "MD5", "sha1": "SHA-1", "sha256": "SHA-256", "sha512": "SHA-512"}


@dataclass(frozen=True)
class Hash:
    """The hash that a file is to have. digits: hexadecimal, lower case."""

    algorithm: str
    digits: str

    @property
    def title(self) -> str:
        """The algorithm as people write it."""
        return _TITLES[self.algorithm]

    def of(self, path: Path) -> str:
        """The same hash of a file that is there."""
        with path.open("rb") as file:
            return hashlib.file_digest(file, self.algorithm).hexdigest()


def parse(text: str) -> Hash:
    """Read `md5:…`, `sha1:…`, `sha256:…` or `sha512:…`; digits alone tell it by their number.

    Raises InputError that says what is accepted.
    """
    name, colon, digits = text.strip().lower().rpartition(":")
    name = name.strip().replace("-", "")
    digits = digits.strip()
    if not colon:
        name = next((n for n, count in _DIGITS.items() if count == len(digits)), "")
    if _DIGITS.get(name) != len(digits) or not re.fullmatch("[0-9a-f]+", digits):
        forms = ", ".join(f"{n}: and {count} hexadecimal digits" for n, count in _DIGITS.items())
        raise InputError(f"hash: {text!r:.200} must be one of {forms}")
    return Hash(name, digits)
