"""The registry's database in a workspace: made whole, checked before use, moved with its folder.

MLflow makes an sqlite database in some fifty steps, each of them a moment to be stopped at or to
be overtaken by another process. Here it is made in a folder of its own and renamed, once.
"""

import importlib.metadata
import importlib.util
import os
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from urllib.parse import quote

from filelock import FileLock

from audiostyle.errors import AudiostyleError, InputError
from audiostyle.tracking_uris import sqlite_uri

EXPERIMENT = "audiostyle"
ARTIFACTS = "mlartifacts"  # folder beside the database that holds the models
# Bytes up to which all of a database is read to find damage: milliseconds. Beyond, the reads
# themselves find it.
_QUICK = 64 << 20
_SECONDS = 30.0  # to wait for another process that is writing to the database


def exists(path: Path) -> bool:
    """Whether there is a database with tables in it. Raises InputError for what is none."""
    check(path)
    return path.is_file() and not _is_blank(path)


def check(path: Path) -> None:
    """Raise InputError for what MLflow cannot use: damaged, or of another release of MLflow.

    A database that is not there yet passes.
    """
    if path.is_dir():
        raise InputError(f"{path}: is a folder where MLflow's database should be; move it away")
    if not path.is_file() or _is_blank(path):
        return
    with _opened(path) as database:
        tables = _tables(database)
        revisions = (
            {row[0] for row in database.execute("SELECT version_num FROM alembic_version")}
            if "alembic_version" in tables
            else set()
        )
    if "experiments" not in tables:
        raise InputError(f"{path}: is no database of MLflow; move it away")
    head, known = _schema()
    if revisions == {head}:
        return
    installed = importlib.metadata.version("mlflow")
    if not revisions:
        raise InputError(
            f"{path}: MLflow was stopped while it made this database; move it away, and the next"
            " training makes a new one"
        )
    if revisions <= known:
        raise InputError(
            f"{path}: is of an older MLflow than the installed {installed}; copy it to keep a"
            f" backup, then run `mlflow db upgrade '{sqlite_uri(path)}'`"
        )
    raise InputError(
        f"{path}: is of a newer MLflow than the installed {installed}"
        f" (schema {', '.join(map(str, revisions))!r:.80}); install the release that wrote it"
    )


def prepare(path: Path) -> None:
    """Make the database unless it is there, and bring the addresses in it up to date."""
    check(path)
    if not path.is_file() or _is_blank(path):
        _make(path)
    else:
        _follow_move(path)


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Wait until no other process of this machine is inside, then go in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # In a workspace that containers use, root's group shares its files.
    with FileLock(lock_of(path), mode=0o664):
        yield


def lock_of(path: Path) -> Path:
    """The file whose lock `exclusive` holds."""
    return path.with_name(f".{path.name}.lock")


def artifact_root(path: Path) -> str:
    """Address of the folder that models of this database are kept in."""
    return (path.resolve().parent / ARTIFACTS).as_uri()


def _make(path: Path) -> None:
    with exclusive(path):
        if path.is_file() and not _is_blank(path):
            return  # another process was faster
        for leftover in path.parent.glob(f".{path.name}.new-*"):
            shutil.rmtree(leftover, ignore_errors=True)  # of a process that was killed
        folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.new-", dir=path.parent))
        try:
            new = folder / path.name
            _fill(new, artifact_root(path))
            with new.open("rb") as file:
                os.fsync(file.fileno())
            new.replace(path)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _fill(path: Path, artifacts: str) -> None:
    """Write MLflow's tables, and the one experiment, so that no two processes make it."""
    from audiostyle.mlflow_client import explained

    uri = sqlite_uri(path)
    with explained(uri):
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        store = SqlAlchemyStore(uri, artifacts)
        store.create_experiment(EXPERIMENT, artifact_location=artifacts)
        store.engine.dispose()


def _follow_move(path: Path) -> None:
    """Let the addresses of a workspace that was moved or copied lead into it, where the files are.

    MLflow keeps absolute addresses; as they are, a copy would read from the original and write
    into it. Of the rows about runs and versions, those whose files came along are changed.
    """
    own = artifact_root(path)
    with _opened(path) as database:
        row = database.execute(
            "SELECT artifact_location FROM experiments WHERE name = ?", (EXPERIMENT,)
        ).fetchone()
        before = str(row[0] or "") if row else ""
        if before == own or not before.startswith("file:///") or before.split("/")[-1] != ARTIFACTS:
            return  # not made here, or in its place
        here = path.resolve().parent / ARTIFACTS

        def moved(address: str | None) -> str | None:
            if not address or not address.startswith(f"{before}/"):
                return address
            rest = address.removeprefix(f"{before}/")
            return f"{own}/{rest}" if (here / rest).exists() else address

        database.create_function("moved", 1, moved, deterministic=True)
        try:
            with database:
                database.execute("BEGIN IMMEDIATE")
                database.execute(
                    "UPDATE experiments SET artifact_location = ? WHERE artifact_location = ?",
                    (own, before),
                )
                for table, column in (
                    ("experiments", "artifact_location"),
                    ("runs", "artifact_uri"),
                    ("model_versions", "source"),
                    ("model_versions", "storage_location"),
                ):
                    database.execute(f"UPDATE {table} SET {column} = moved({column})")  # noqa: S608
        except sqlite3.OperationalError as error:
            if "readonly" not in str(error):
                raise
            raise InputError(
                f"{path}: this workspace was moved or copied here, and its database cannot be"
                f" written to note that; make it writable (its models were in {before})"
            ) from None


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection to a database that is there. Raises InputError where it is damaged."""
    address = f"file:{quote(str(path.resolve()))}?mode=rw"
    try:
        with closing(sqlite3.connect(address, uri=True, timeout=_SECONDS)) as database:
            if path.stat().st_size <= _QUICK:
                (first,) = database.execute("PRAGMA quick_check(1)").fetchone()
                if first != "ok":
                    raise sqlite3.DatabaseError(first)
            yield database
    except sqlite3.DatabaseError as error:
        if "locked" in str(error):
            raise AudiostyleError(
                f"{path}: another process has been writing to it for {_SECONDS:.0f} s; try again"
            ) from None
        if "unable to open" in str(error):
            raise InputError(f"{path}: cannot be opened; check its permissions") from None
        raise InputError(
            f"{path}: is damaged ({' '.join(str(error).split()):.200}); restore a backup, or move"
            " it away to begin a new registry"
        ) from None


def _is_blank(path: Path) -> bool:
    """Whether a file holds no table: nothing is lost by a database in its place."""
    if not path.stat().st_size:
        return True
    with _opened(path) as database:
        return not _tables(database)


def _tables(database: sqlite3.Connection) -> set[str]:
    return {row[0] for row in database.execute("SELECT name FROM sqlite_master")}


@cache
def _schema() -> tuple[str, frozenset[str]]:
    """The newest revision of the installed MLflow's tables, and all that lead to it.

    Read from the text of its migrations: to import them takes seconds, which a command that only
    names a mistake need not spend.
    """
    spec = importlib.util.find_spec("mlflow")
    if spec is None or not spec.submodule_search_locations:
        raise InputError("mlflow is not installed; pip install 'audiostyle[train]'")
    folder = Path(spec.submodule_search_locations[0]) / "store" / "db_migrations" / "versions"
    texts = [path.read_text(encoding="utf-8") for path in folder.glob("*.py")]
    revisions, before = (
        {name for text in texts for name in re.findall(rf'^{key} = "(\w+)"', text, re.MULTILINE)}
        for key in ("revision", "down_revision")
    )
    (head,) = revisions - before
    return head, frozenset(revisions)
