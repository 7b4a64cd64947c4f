"""Items of a batch descend each on their own, stop when done, and keep what was good."""

import pytest
import torch
from torch import Tensor

from components.stylize.optimize import CHECK, Plan, descend


def plan(**changes: object) -> Plan:
    values = {
        "optimizer": "lbfgs",
        "iterations": 150,
        "learning_rate": 1.0,
        "content_weight": 1.0,
        "style_weight": 1.0,
        "tolerance": 0.0,
    }
    return Plan(**{**values, **changes})  # type: ignore[arg-type]


def valley(x: Tensor) -> dict[str, Tensor]:
    """Rosenbrock's function: curved and badly scaled."""
    rise = (x[:, 1:] - x[:, :-1].square()).square().sum(1)
    return {"content": 100 * rise, "style": (1 - x[:, :-1]).square().sum(1)}


START = torch.randn(4, 12, generator=torch.Generator().manual_seed(0))


def test_lbfgs_reaches_what_adam_does_not() -> None:
    found = descend(valley, START, plan())
    slow = descend(valley, START, plan(optimizer="adam", learning_rate=0.05))
    for quick, other in zip(found.losses, slow.losses, strict=True):
        assert min(quick["total"]) < 1e-6
        assert min(quick["total"]) < 1e-3 * min(other["total"])
    torch.testing.assert_close(found.x, torch.ones_like(START), rtol=0, atol=1e-2)


@pytest.mark.parametrize("optimizer, rate", [("lbfgs", 1.0), ("adam", 0.05)])
def test_an_item_does_not_know_its_neighbors(optimizer: str, rate: float) -> None:
    settings = plan(optimizer=optimizer, learning_rate=rate, iterations=60)
    together = descend(valley, START, settings)
    for item in range(len(START)):
        alone = descend(valley, START[item : item + 1], settings)
        torch.testing.assert_close(together.x[item], alone.x[0], rtol=1e-4, atol=1e-5)
        assert together.losses[item]["total"] == pytest.approx(alone.losses[0]["total"], rel=1e-3)


def test_every_term_is_logged_and_weighed() -> None:
    (losses,) = descend(valley, START[:1], plan(iterations=5, style_weight=3.0)).losses
    assert {len(values) for values in losses.values()} == {6}
    for total, content, style in zip(*losses.values(), strict=True):
        assert total == pytest.approx(content + 3 * style, rel=1e-5)


@pytest.mark.parametrize("optimizer, rate", [("lbfgs", 1.0), ("adam", 0.05)])
def test_what_is_not_finite_stops_one_item_alone(optimizer: str, rate: float) -> None:
    calls = 0

    def broken(x: Tensor) -> dict[str, Tensor]:
        nonlocal calls
        calls += 1
        bad = torch.tensor([calls > 10 and item == 1 for item in range(len(x))])
        return {name: torch.where(bad, torch.nan, value) for name, value in valley(x).items()}

    settings = plan(optimizer=optimizer, learning_rate=rate, iterations=40)
    found = descend(broken, START, settings)
    whole = descend(valley, START, settings)
    assert found.broken == [None, 10, None, None]
    assert len(found.losses[1]["total"]) == 10
    # Its last good state is the one that the descent had when all was well.
    good = descend(valley, START, plan(optimizer=optimizer, learning_rate=rate, iterations=9))
    torch.testing.assert_close(found.x[1], good.x[1])
    for item in (0, 2, 3):
        torch.testing.assert_close(found.x[item], whole.x[item], rtol=1e-4, atol=1e-5)


def test_a_step_too_far_is_taken_back() -> None:
    def cliff(x: Tensor) -> dict[str, Tensor]:
        # Beyond 2 there is nothing; the first steps of L-BFGS would lead there.
        value = 50 * (x - 1.9).square().sum(1)
        return {"content": torch.where((x > 2).any(1), torch.nan, value)}

    start = torch.tensor([[1.5, -30.0, 0.0]])
    found = descend(cliff, start, plan(learning_rate=30.0))
    assert found.broken == [None]
    assert min(found.losses[0]["total"]) < 1e-4
    assert torch.tensor(found.losses[0]["total"]).isfinite().all()
    (beyond,) = descend(cliff, start + 10, plan()).broken
    assert beyond == 0


def test_it_stops_when_nothing_more_is_gained() -> None:
    def bowls(x: Tensor) -> dict[str, Tensor]:
        # The second is a hundred times flatter and takes longer.
        return {"content": (torch.tensor([1.0, 0.01]) * (x - 1).square().sum(1)) + 1}

    start = torch.zeros(2, 5)
    long = plan(optimizer="adam", learning_rate=0.02, iterations=2000)
    whole = descend(bowls, start, long)
    found = descend(
        bowls, start, plan(optimizer="adam", learning_rate=0.02, iterations=2000, tolerance=1e-4)
    )
    assert {len(losses["total"]) for losses in whole.losses} == {2001}
    for losses in found.losses:
        assert CHECK < len(losses["total"]) < 1000
        assert losses["total"][-1] == pytest.approx(1, abs=0.01)
