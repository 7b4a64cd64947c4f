"""The stylize stage: pairs of recordings and a classifier in, stylised spectrograms out."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from audiostyle import artifacts, audio, network, stylized_set
from audiostyle.audio import Recording
from audiostyle.network import Classifier
from audiostyle.spectrogram import SpectrogramConfig, magnitude, stft
from audiostyle.stylized_set import Item
from components.stylize.pairs import Pair
from components.stylize.transfer import StylizeConfig, transfer

log = logging.getLogger(__name__)


def stylize(
    pairs: Sequence[Pair],
    classifier: Path | str,
    out: Path | str,
    config: StylizeConfig,
    model_name: str = "",
) -> None:
    """Stylise every pair and write a stylised set.

    classifier: a classifier artifact. model_name: what to call it in the settings and on the
    report page, e.g. its registry version. Every recording is checked before the first is worked
    on; raises AudioError naming the file that is missing, empty, silent, corrupt or too short.
    """
    opened = artifacts.opening(classifier, artifacts.CLASSIFIER)
    model = network.load(opened.folder, network.device_of(config.device))
    for pair in pairs:
        for path in pair.recordings().values():
            _sound(path, model.spectrogram)
    about = {
        "spectrogram": model.spectrogram.plain(),
        "stylize": config.plain(),
        "model": {"name": model_name, "digest": opened.digest},
    }
    items = []
    with artifacts.writing(out, artifacts.STYLIZED_SET, about) as folder:
        for number, pair in enumerate(pairs, 1):
            items.append(_stylize_pair(pair, model, config, folder, model_name))
            log.info(
                "stylize: %d/%d %s, loss %.4g -> %.4g",
                number,
                len(pairs),
                pair.id,
                items[-1].losses["total"][0],
                items[-1].losses["total"][-1],
            )
        stylized_set.save_items(folder, items)


def _stylize_pair(
    pair: Pair, model: Classifier, config: StylizeConfig, folder: Path, model_name: str
) -> Item:
    spectrogram = model.spectrogram
    recordings = {role: _sound(path, spectrogram) for role, path in pair.recordings().items()}
    content = recordings["content"]
    working = audio.resample(content, spectrogram.sample_rate)
    channels = torch.from_numpy(working.samples)  # [channels, n]
    spectrum = stft(channels, spectrogram)
    # The energy of all channels together is what is stylised, then shared among them as before,
    # so that the stereo image stays the content's. Not the mix, in which channels of opposite
    # phase would cancel.
    together = spectrum.abs().square().mean(0).sqrt()
    style = magnitude(
        torch.from_numpy(audio.mono(audio.resample(recordings["style"], spectrogram.sample_rate))),
        spectrogram,
    )
    device = next(model.parameters()).device
    done = transfer(model, together.to(device), style.to(device), config, pair.id)
    item = Item(
        id=pair.id,
        sample_rate=content.sample_rate,
        samples=content.samples.shape[1],
        channels=len(content.samples),
        rms=float(np.sqrt(np.mean(np.square(content.samples, dtype=np.float64)))),
        sources={role: path.name for role, path in pair.recordings().items()},
        settings={**config.plain(), "model": model_name},
        losses=done.losses,
    )
    result = _spread(spectrum.abs(), done.magnitude.cpu())
    stylized_set.save_item(folder, item, result, spectrum.angle())
    for role, recording in recordings.items():
        stylized_set.save_audio(folder, item, role, recording)
    return item


def _spread(channels: Tensor, result: Tensor) -> Tensor:
    """Share a mono result among channels as the content's own energy is shared in each cell.

    channels: [channels, bins, frames]; result: [bins, frames]. Output as channels.
    """
    if len(channels) == 1:
        return result[None]
    level = channels.square().mean(0).sqrt()
    share = channels / level.clamp_min(1e-12)
    # Where there was nothing, whatever the style adds goes to all channels alike.
    share = torch.where(level > 1e-9, share, torch.ones_like(share))
    return share * result


def _sound(path: Path, config: SpectrogramConfig) -> Recording:
    return audio.require_sound(audio.read(path), path, seconds=config.n_fft / config.sample_rate)
