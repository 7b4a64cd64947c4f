"""Addresses that may be shown: they go into logs, errors, artifacts and pipeline parameters."""

from urllib.parse import urlsplit

from audiostyle.errors import InputError


def require_no_secret(name: str, address: str) -> str:
    """The address. Raises InputError, which does not repeat it, where a password is in it."""
    try:
        parts = urlsplit(address)
        secret = bool(parts.username or parts.password)
    except ValueError:
        return address  # no address at all: whoever opens it says so
    if "://" in address and (secret or "Signature=" in parts.query or "X-Amz-" in parts.query):
        raise InputError(
            f"{name}: holds a user, password or signature, and addresses are kept in the clear;"
            " use environment variables (AWS_…, MLFLOW_TRACKING_USERNAME and _PASSWORD) or ~/.netrc"
        )
    return address
