"""Table 1: total loss of the shallow system from noise, by iteration of Adam.

The one optimization that takes hours at its full size: its state is kept every few hundred steps,
and on a CPU a run that was interrupted ends with the losses of an unbroken one, to the bit.
"""

import time

import torch

from audiostyle.spectrogram import magnitude
from benchmarks.pairs import TruePair
from benchmarks.paper.state import Piece, State
from benchmarks.paper.systems import PAPER_TABLE, Size
from benchmarks.paper.transfers import Model, key_of
from components.stylize.config import StylizeConfig
from components.stylize.methods.parts.method import LEVEL, Contents
from components.stylize.registry import make
from components.stylize.transfer import noise_like, style_of


def table_1(
    state: State, pair: TruePair, model: Model, size: Size, *, compute: bool = True
) -> dict[int, float]:
    """Losses by iteration of the paper: those of the step that many times shorter.

    compute: whether what is not finished is to be computed; else it is left out.
    """
    config = StylizeConfig(
        method="shallow",
        init="noise",
        optimizer="adam",
        learning_rate=1e-3 * size.steps,
        filters=size.filters,
        iterations=max(PAPER_TABLE) // size.steps,
        tolerance=0,
    )
    if compute:
        losses = _losses(state, pair, model, config, size.every)
    else:
        kept = state.read("table-1", key_of(pair, config, model))
        losses = kept.tensors["losses"].tolist() if kept else []
    steps = {step: step // size.steps for step in PAPER_TABLE}
    return {step: losses[at] for step, at in steps.items() if at < len(losses)}


def _losses(
    state: State, pair: TruePair, model: Model, config: StylizeConfig, every: int
) -> list[float]:
    """Total loss at the start and after each step."""
    method = make(config, model.network)
    spectrogram = method.spectrogram
    content = magnitude(torch.from_numpy(pair.content), spectrogram)[None]
    content = content * (LEVEL / content.square().mean().sqrt())
    style = style_of(method, magnitude(torch.from_numpy(pair.style), spectrogram))
    with torch.no_grad():
        terms = method.prepare(Contents(content, content.square().mean(2)), [style]).terms
    assert terms is not None and config.learning_rate and config.iterations
    start = method.encode(method.noise * noise_like(content, [0], config.seed))
    x = torch.nn.Parameter(start.clone())
    optimizer = torch.optim.Adam([x], lr=config.learning_rate)
    losses: list[float] = []
    seconds = 0.0
    key = key_of(pair, config, model)
    if kept := state.read("table-1", key):
        with torch.no_grad():
            x.copy_(kept.tensors["x"])
        losses, seconds = kept.tensors["losses"].tolist(), kept.values["seconds"]
        moments = {name: kept.tensors[name] for name in ("step", "exp_avg", "exp_avg_sq")}
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": {0: moments}, "param_groups": groups})
    begun = time.process_time()
    while len(losses) <= config.iterations:
        values = terms(x)
        total = (
            method.defaults.content_weight * values["content"]
            + method.defaults.style_weight * values["style"]
        ).sum()
        losses.append(float(total.detach()))
        if len(losses) <= config.iterations:
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(total)
            optimizer.step()
        done = len(losses) > config.iterations
        if done or len(losses) % every == 0:
            kept_state = optimizer.state_dict()["state"][0]
            tensors = {"x": x.detach(), "losses": torch.tensor(losses, dtype=torch.float64)}
            tensors |= {name: torch.as_tensor(value) for name, value in kept_state.items()}
            spent = seconds + time.process_time() - begun
            state.write("table-1", key, Piece(tensors, {"seconds": spent}))
            print(f"table 1: step {len(losses) - 1} of {config.iterations}", flush=True)
    return losses
