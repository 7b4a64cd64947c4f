"""Commands and options stay as they are: a change of any `--help` is one that somebody meant."""

import difflib

from help_pages import PAGES, pages


def test_the_help_of_every_command_is_the_one_on_record() -> None:
    before, now = PAGES.read_text(encoding="utf-8"), pages()
    changes = difflib.unified_diff(before.splitlines(), now.splitlines(), lineterm="", n=1)
    assert before == now, (
        "if these changes are meant, write them down: PYTHONPATH=. python tests/help_pages.py\n"
        + "\n".join(changes)
    )
