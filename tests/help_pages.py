"""The help of every command, as one text; run it to write help_pages.txt after a change."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import click
from click.testing import CliRunner

PAGES = Path(__file__).with_name("help_pages.txt")
STAGES = ("preprocess", "train", "stylize", "reconstruct")


def pages() -> str:
    """`$ COMMAND --help` and what it prints, for every command and stage."""
    from pipeline.cli import main

    parts = list(_below(main, "audiostyle"))
    for stage in STAGES:
        command = import_module(f"components.{stage}.__main__").main
        parts += _below(command, f"python -m components.{stage}")
    return "\n".join(parts)


def _below(command: click.Command, name: str) -> Iterator[str]:
    done = CliRunner().invoke(command, ["--help"], prog_name=name, terminal_width=100)
    assert done.exit_code == 0, done.output
    yield f"$ {name} --help\n{done.output}"
    if isinstance(command, click.Group):
        for inner, child in sorted(command.commands.items()):
            yield from _below(child, f"{name} {inner}")


if __name__ == "__main__":
    PAGES.write_text(pages(), encoding="utf-8")
