"""What stands around the code: workflows, templates, citation and notes fit the project."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT
from docker_images import PROJECT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TARGETS = set(re.findall(r"^([^\s:=#]+):(?!=)", (ROOT / "Makefile").read_text(), re.MULTILINE))


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def test_there_are_workflows() -> None:
    assert {"checks", "tests", "wheel", "images", "docs"} <= {path.stem for path in WORKFLOWS}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_run_what_there_is_with_few_rights(path: Path) -> None:
    workflow = read(path)
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow["name"] == path.stem
    text = path.read_text(encoding="utf-8")
    # What a stranger writes into a title or a branch's name would be run.
    assert re.findall(r"\$\{\{ *github\.(?:event|head_ref)[^}]*\}\}", text) == []
    for job in workflow["jobs"].values():
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step)
            # Of a version, not of a branch that moves.
            assert re.fullmatch(r"[\w-]+/[\w-]+@v\d[\d.]*", step.get("uses", "actions/x@v1"))
            for target in re.findall(r"make ([\w./-]+)", step.get("run", "")):
                assert target in TARGETS
            programs = r"\.ci/\w+|(?:deploy|tests)/[\w/-]+\.(?:sh|py)"
            for program in re.findall(programs, step.get("run", "")):
                assert (ROOT / program).is_file(), program


def test_templates_of_issues() -> None:
    folder = ROOT / ".github" / "ISSUE_TEMPLATE"
    templates = [read(path) for path in sorted(folder.glob("*.yml")) if path.stem != "config"]
    assert len(templates) >= 3
    for template in templates:
        assert {"name", "description", "body"} <= set(template)
        assert any(part.get("validations", {}).get("required") for part in template["body"])
    assert read(folder / "config.yml")["contact_links"]


def test_citation() -> None:
    citation = read(ROOT / "CITATION.cff")
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["title"] == PROJECT["name"]
    assert citation["license"] == PROJECT["license"]
    assert citation["repository-code"] == PROJECT["urls"]["Homepage"]


def test_changelog_has_notes_that_a_release_can_take() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    sections = re.findall(r"^## (\S+).*\n((?:(?!## ).*\n?)*)", text, re.MULTILINE)
    assert sections[0][0] == "Unreleased"
    notes = dict(sections)
    assert "0.2.0" in notes and len(notes["0.2.0"]) > 1000


def test_precommit_runs_what_make_check_does() -> None:
    (repo,) = read(ROOT / ".pre-commit-config.yaml")["repos"]
    entries = " ".join(hook["entry"] for hook in repo["hooks"])
    for tool in ("ruff format", "ruff check", "mypy", "lint-imports"):
        assert tool in entries
