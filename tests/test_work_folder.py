"""Folders for unfinished work: one process in each."""

from pathlib import Path

import pytest

from audiostyle.work_folder import claimed


def test_each_claim_has_a_folder_of_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "work" / "key"
    with claimed(folder) as first, claimed(folder) as second:
        assert first == folder
        assert second == folder.with_name("key-2")
        second.mkdir()
        (second / "half").touch()
    # What is unfinished stays, and nothing else.
    assert [path.name for path in folder.parent.iterdir()] == ["key-2"]


def test_where_no_folder_can_be_made_nothing_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    (tmp_path / "file").touch()
    with claimed(tmp_path / "file" / "work" / "key") as folder:
        assert folder.name == "key"
    assert caplog.text == ""
    (tmp_path / "work" / ".key.lock").mkdir(parents=True)  # no lock can be made
    with claimed(tmp_path / "work" / "key"):
        assert "no lock for" in caplog.text
