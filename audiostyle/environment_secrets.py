"""Secrets that the environment of this process holds, hidden in a text that is kept or shown."""

import os
import re
from collections.abc import Iterable, Mapping

_NAMES = re.compile(r"SECRET|PASSWORD|TOKEN|ACCESS_KEY|CREDENTIAL", re.IGNORECASE)
# Shorter values stand in texts by chance.
_SHORTEST = 6


def secrets_in(environment: Mapping[str, str]) -> set[str]:
    """Values of variables that are secret by their names; those of names of files are not."""
    return {
        value
        for name, value in environment.items()
        if _NAMES.search(name) and not name.upper().endswith("_FILE")
    }


def hidden(text: str, more: Iterable[str] = ()) -> str:
    """A text without the secrets of this process's environment, and without those of `more`."""
    for secret in sorted({*secrets_in(os.environ), *more}, key=len, reverse=True):
        if len(secret) >= _SHORTEST:
            text = text.replace(secret, "…")
    return text
