"""A method is one file: with it, the method is named in the help, checked, and used."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from audiostyle import stylized_set
from components.stylize import methods
from components.stylize.__main__ import main as stage

MODULE = '''
"""A toy: half of the content, half of the style's mean spectrum."""

from components.stylize.methods.parts.method import Method, Problem


class Toy(Method):
    def style(self, magnitude):
        return {"mean": magnitude.mean(1)}

    def prepare(self, contents, styles):
        means = [style["mean"] for style in styles]
        return Problem((contents.magnitude + means[0][None, :, None]) / 2)


METHOD = Toy
'''


def test_one_file(
    pairs: Path, classifier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["--pairs", str(pairs), "--classifier", str(classifier), "--method", "toy"]
    refused = CliRunner().invoke(stage, [*arguments, "--out", str(tmp_path / "refused")])
    assert refused.exit_code == 2
    assert "method: must be one of default, base, notes" in refused.output
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "toy.py").write_text(MODULE)
    monkeypatch.setattr(methods, "__path__", [*methods.__path__, str(tmp_path / "more")])
    done = CliRunner().invoke(stage, [*arguments, "--out", str(tmp_path / "set")])
    assert done.exit_code == 0, done.output
    items = stylized_set.read(tmp_path / "set").items
    assert {item.settings["method"] for item in items} == {"toy"}
