"""One pair through one system: stylized, with a phase, and measured against the truth."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from audiostyle.artifacts import bytes_digest
from audiostyle.audio import Recording, Samples
from audiostyle.network import Classifier
from audiostyle.spectrogram import magnitude
from benchmarks.measures import prepared
from benchmarks.pairs import TruePair
from benchmarks.paper.state import Piece, State
from benchmarks.paper.systems import System
from benchmarks.quality.scores import Reference, scores
from components.reconstruct.phase.retrieval import griffin_lim
from components.stylize.config import StylizeConfig
from components.stylize.networks.weights import pinned
from components.stylize.transfer import transfer_pair


@dataclass(frozen=True)
class Model:
    """A classifier, and the digest of its artifact."""

    network: Classifier
    digest: str


@dataclass(frozen=True)
class Transfer:
    """A pair's result. row: measures and `seconds` of computing; losses: the total, by step."""

    pair: str
    sound: Samples
    losses: np.ndarray
    row: dict[str, float]


def key_of(pair: TruePair, config: StylizeConfig, model: Model) -> list[Any]:
    """What a result depends on."""
    assert pair.target is not None
    sounds = [bytes_digest(x.tobytes()) for x in (pair.content, pair.style, pair.target)]
    return [StylizeConfig.decisive(config.plain()), model.digest, sounds]


def transfer(
    state: State, pair: TruePair, system: System, model: Model, *, compute: bool = True
) -> Transfer | None:
    """A pair's result, from the state where it is finished.

    compute: whether it is to be computed where it is not; else None.
    """
    config = pinned(system.config)
    key = key_of(pair, config, model)
    piece = state.read("transfer", key)
    if piece is None:
        if not compute:
            return None
        piece = _computed(pair, config, model.network)
        state.write("transfer", key, piece)
    return Transfer(
        pair.id, piece.tensors["sound"].numpy(), piece.tensors["losses"].numpy(), piece.values
    )


def _computed(pair: TruePair, config: StylizeConfig, network: Classifier) -> Piece:
    spectrogram = network.spectrogram
    content, style = (
        magnitude(torch.from_numpy(sound), spectrogram) for sound in (pair.content, pair.style)
    )
    # Of the processor, not of the wall: a run that takes hours shares its machine.
    begun = time.process_time()
    done = transfer_pair(network, content, style, config, pair.id)
    seconds = time.process_time() - begun
    sound = griffin_lim(
        done.magnitude.numpy(),
        n_fft=spectrogram.n_fft,
        hop_length=spectrogram.hop_length,
        window=spectrogram.window,
        length=len(pair.content),
    )
    sound = prepared(Recording(sound[None], spectrogram.sample_rate))
    row = {name: float(x) for name, x in scores(sound, Reference(pair)).items()}
    tensors = {
        "sound": torch.from_numpy(np.ascontiguousarray(sound, np.float32)),
        "losses": torch.tensor(done.losses.get("total", []), dtype=torch.float64),
    }
    return Piece(tensors, {**row, "seconds": seconds})
