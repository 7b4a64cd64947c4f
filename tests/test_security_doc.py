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


def test_the_lock_is_of_the_tested_versions() -> None:
    def key(name: str) -> str:
        return re.sub(r"[-_.]+", "-", name).lower()

    pins = re.findall(r"^(\S+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    tested = {key(name): version for name, version in pins}
    lock = (ROOT / "deploy" / "requirements.lock").read_text()
    locked = {key(name): version for name, version in re.findall(r"^(\S+)==(\S+) ", lock, re.M)}
    assert locked.items() <= tested.items()
    assert {"kfp", "mlflow", "numpy", "safetensors", "soundfile"} <= locked.keys()
    lines = [line for line in lock.splitlines() if not line.startswith("#")]
    assert not [
        x for x in lines if not re.fullmatch(r"\S+==\S+ \\|    --hash=sha256:[0-9a-f]{64}( \\)?", x)
    ]
