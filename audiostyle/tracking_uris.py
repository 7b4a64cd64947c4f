"""Addresses of MLflow: a server, or a database."""

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from audiostyle.errors import InputError
from audiostyle.uris import require_no_secret, scheme_of, shown_address

# https://mlflow.org/docs/latest/self-hosting/architecture/backend-store
_DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
_SQLITE = re.compile(r"sqlite(?:\+\w+)?:///(?P<path>[^?]*)")


def tracking_uri(name: str, address: str) -> str:
    """MLflow's address, a relative database made absolute. Raises InputError for what is none.

    name: of the setting, for the error.
    """
    require_no_secret(name, address)
    scheme = scheme_of(address)
    shown = shown_address(address)
    if scheme in ("http", "https"):
        if not _host(address):
            raise InputError(f"{name}: names no server (got {shown!r})")
        return address
    if scheme.partition("+")[0] not in (*_DATABASES, "databricks"):
        raise InputError(
            f"{name}: must be http://HOST:PORT or https://… of an MLflow server, or a database such"
            f" as sqlite:////FOLDER/mlflow.db; MLflow keeps no registry in plain folders (got"
            f" {shown!r})"
        )
    matched = _SQLITE.match(address)
    if matched is None:
        if scheme.startswith("sqlite"):
            raise InputError(f"{name}: must be sqlite:/// and a path (got {shown!r})")
        return address
    path = Path(unquote(matched["path"]))
    if path.name in ("", ":memory:"):
        raise InputError(f"{name}: must name a file, not memory (got {shown!r})")
    return f"{sqlite_uri(path)}{address[matched.end() :]}"


def sqlite_path(uri: str) -> Path | None:
    """The file of an sqlite database's address, or None for any other address."""
    matched = _SQLITE.match(uri)
    return Path(unquote(matched["path"])) if matched else None


def sqlite_uri(path: Path) -> str:
    """The address of an sqlite database in a file, of which `sqlite_path` is the inverse.

    >>> sqlite_uri(Path("/data/100%?/mlflow.db"))
    'sqlite:////data/100%25%3F/mlflow.db'
    """
    # SQLAlchemy decodes percent signs, and takes all after a question mark for options.
    return f"sqlite:///{str(path.absolute()).replace('%', '%25').replace('?', '%3F')}"


def _host(address: str) -> str:
    try:
        parts = urlsplit(address)
        _ = parts.port  # raises ValueError for what is no number
        return parts.hostname or ""
    except ValueError:
        return ""
