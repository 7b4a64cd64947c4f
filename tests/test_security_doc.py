"""docs/security.md names, for every rule, the test that holds it."""

import ast
import re

from conftest import ROOT

TEXT = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
# A name may stand at the beginning of the next line.
NAMED = re.findall(r"(tests/[\w/]+\.py)::(\w+)", TEXT)


def test_every_named_test_exists() -> None:
    functions: dict[str, set[str]] = {}
    for path, name in NAMED:
        if path not in functions:
            assert (ROOT / path).is_file(), f"{path} is not there"
            tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
            functions[path] = {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}
        assert name.startswith("test_") and name in functions[path], f"{path} has no test {name}"


def test_every_rule_has_one() -> None:
    rules = re.findall(r"^- (.+?)(?=^- |^\n|\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert len(rules) > 30
    assert [rule for rule in rules if "::test_" not in rule] == []


def test_every_danger_has_rules_and_limits() -> None:
    sections = dict(re.findall(r"^## (.+)\n((?:(?!^## ).*\n)*)", TEXT, re.MULTILINE))
    dangers = {name: text for name, text in sections.items() if name != "Who is trusted"}
    assert len(dangers) >= 9
    assert [name for name, text in dangers.items() if "::test_" not in text] == []
    assert TEXT.count("*Not defended*") >= 8
