"""How much the fuzz tests do together."""

import re
from pathlib import Path

from fuzzing import PLAN, UNREFUSED


def test_two_thousand_inputs_of_every_kind() -> None:
    """`fuzz` asserts that every kind gets its number of refusals; these are all drawn."""
    text = "".join(path.read_text() for path in Path(__file__).parent.glob("test_fuzz_*.py"))
    assert sorted(re.findall(r'^ +fuzz\(\s*"([^"]+)"', text, re.MULTILINE)) == sorted(PLAN)
    assert sum(count for name, count in PLAN.items() if name not in UNREFUSED) >= 2000
