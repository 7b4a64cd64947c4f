"""`audiostyle demo`: what audiostyle does, to hear and see, without anything of one's own."""

import logging
from pathlib import Path

import click

from audiostyle.command import Command
from pipeline.commands.answers import Answer, answering
from pipeline.commands.options import DETAIL, WORKSPACE
from pipeline.run_display import Detail, Display
from pipeline.screen import has_screen


@click.command(cls=Command, short_help="Stylize the bundled pairs and open the report.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder of the results; an earlier demo in it is replaced. [default: WORKSPACE/demo]",
)
@click.option("--no-open", is_flag=True, help="Do not open the page in a browser.")
@answering("demo")
@DETAIL
@WORKSPACE
def demo(out: Path | None, no_open: bool, detail: Detail, workspace: Path) -> Answer:
    """Stylize the bundled pairs with the bundled classifier and open the report.

    Nothing is trained and nothing is registered. Where there is no screen, the page is made and
    not opened.
    """
    from pipeline import demo as demonstration

    if detail == "normal":
        logging.getLogger().setLevel(logging.WARNING)
    page = demonstration.make(out or workspace / "demo", Display(detail))
    opened = not no_open and has_screen() and demonstration.show(page)
    return Answer.lines({"report": str(page), "opened": opened}, [f"Report    {page}"])
