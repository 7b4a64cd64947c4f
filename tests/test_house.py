"""How the house is built: a module is one idea, named after it, and says what it is."""

import ast
import re
from pathlib import Path

from conftest import ROOT

MODULES = [
    path
    for package in ("audiostyle", "components", "pipeline")
    for path in (ROOT / package).rglob("*.py")
]
# Names that say nothing about what is inside.
_EMPTY_NAMES = re.compile(r"(.*_)?(utils?|helpers?|common|misc|tools?|stuff|base_utils)")


def shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_there_are_modules() -> None:
    assert len(MODULES) > 100


def test_modules_say_what_they_are() -> None:
    """All but a package's empty __init__.py begin with a docstring."""
    silent = [
        shown(path)
        for path in MODULES
        if (text := path.read_text(encoding="utf-8")).strip()
        and not ast.get_docstring(ast.parse(text))
    ]
    assert silent == []


def test_names_say_something() -> None:
    below = {part for path in MODULES for part in path.relative_to(ROOT).with_suffix("").parts}
    assert [name for name in sorted(below) if _EMPTY_NAMES.fullmatch(name)] == []


def test_modules_fit_into_a_head() -> None:
    rest = [path for folder in ("benchmarks", "deploy") for path in (ROOT / folder).rglob("*.py")]
    long = {
        shown(path): length
        for path in [*MODULES, *rest]
        if (length := len(path.read_text(encoding="utf-8").splitlines())) > 300
    }
    assert long == {}


def test_names_are_nouns_of_the_field() -> None:
    """`found` and `told` say how something came about, and not what it is."""
    pattern = re.compile(r"\b(?:told|found)\b")
    count = sum(len(pattern.findall(path.read_text(encoding="utf-8"))) for path in MODULES)
    assert count <= 20
