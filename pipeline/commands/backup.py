"""The commands `audiostyle backup` and `audiostyle restore`: a workspace in one file."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from audiostyle.command import Command
from audiostyle.errors import AudiostyleError
from audiostyle.terminal import say
from pipeline.commands.answers import Answer, answering
from pipeline.commands.options import WORKSPACE

if TYPE_CHECKING:
    from pipeline.backup import Content


@click.command(cls=Command)
@click.argument("file", type=click.Path(path_type=Path))
@WORKSPACE
@click.option("--data", "with_data", is_flag=True, help="Downloaded data sets, too.")
@answering("backup")
def backup(file: Path, workspace: Path, with_data: bool) -> Answer:
    """Back up the workspace into FILE: .tar, .tar.gz or .tgz.

    The workspace may be in use meanwhile. Its registry, results and checkpoints are in the backup;
    downloaded data sets and the folder of `make stack` are not.
    """
    from pipeline.backup.writing import write

    content = write(workspace, file, with_data=with_data)
    return _answer("file", file, content)


@click.command(cls=Command, short_help="Restore a workspace from a backup.")
@click.argument("file", type=click.Path(path_type=Path))
@WORKSPACE
@answering("restore")
def restore(file: Path, workspace: Path) -> Answer:
    """Bring the workspace back from FILE, into a folder that is new or empty.

    Nothing is overwritten. The workspace may be another than the one that was backed up.
    """
    from audiostyle import workspace_database
    from pipeline.backup.restoring import restore as bring_back

    content = bring_back(file, workspace)
    database = workspace / "mlflow.db"
    if database.is_file():
        try:
            workspace_database.prepare(database)
        except AudiostyleError as error:
            # All is back as it was; what it needs now, a person has to do.
            say(f"registry: {error}", error=True)
    return _answer("workspace", workspace, content)


def _answer(kind: str, place: Path, content: "Content") -> Answer:
    value = {kind: str(place), "files": content.files, "bytes": content.bytes}
    return Answer.lines(value, [f"{place}: {content.files} files, {content.bytes / 1e6:.1f} MB"])
