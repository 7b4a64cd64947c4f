"""One pair, from recordings to its stylized spectrogram in blocks: no artifact on the way."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from torch import Tensor

from audiostyle.artifacts import digest_of
from audiostyle.spectrogram import SpectrogramConfig
from components.stylize.batches import Item, batches_of, stylize_windows
from components.stylize.channels import stylized_blocks
from components.stylize.checkpoint import Checkpoint, Results
from components.stylize.config import StylizeConfig
from components.stylize.session import Session
from components.stylize.spectra import Source
from components.stylize.transfer import settings_used
from components.stylize.windows import windows_over


@dataclass(frozen=True)
class Stylized:
    """A stylized recording. Its spectrogram is put together when `blocks` is called.

    settings: all of them, as used. losses: term to values, step by step. error: what stopped the
    optimization early, or "".
    """

    item: Item
    results: Results
    spectrogram: SpectrogramConfig
    settings: dict[str, Any]
    losses: dict[str, list[float]]
    error: str

    @property
    def sample_rate(self) -> int:
        """The content's, in Hz."""
        return self.item.content.facts.sample_rate

    @property
    def samples(self) -> int:
        """The content's, of one channel."""
        return self.item.content.facts.samples

    @property
    def channels(self) -> int:
        """The content's."""
        return self.item.content.facts.channels

    @property
    def rms(self) -> float:
        """Root mean square of the content."""
        return self.item.content.facts.rms

    @property
    def frames(self) -> int:
        """Frames of the spectrogram."""
        return self.item.content.frames

    def blocks(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Magnitude and the content's phase in order, each [channels, bins, any frames] float32."""
        return stylized_blocks(self.item, self.results, self.spectrogram)


def stylize_one(
    content: Source,
    style: Source,
    session: Session,
    config: StylizeConfig,
    *,
    name: str,
    work: Path | None = None,
) -> Stylized:
    """Stylize a pair; what is stylized is what `components.stylize.stylize` makes of it.

    content, style: of `Session.hear`. name: of the pair, in errors. work: folder for the batches
    that an interrupted call has finished; the same call goes on from there. A pair of one batch
    has nothing to go on from, and is not written there. The caller removes the folder.
    """
    method, styles = session.method(config)
    spectrogram = method.spectrogram
    chosen = settings_used(method, config)
    sources = {"content": content, "style": style}
    item = Item(0, name, sources, windows_over(content.frames, spectrogram, config))
    batches = batches_of([item], config.batch or (64 if method.device.type == "cuda" else 1))
    results = Results()
    if work and len(batches) > 1:
        about = [version("audiostyle"), chosen, session.opened.digest, batches, item.plain()]
        results = Checkpoint(work / digest_of(about)[:16])
    stylize_windows([item], batches, method, config, results, styles)
    losses, error = results.outcome(item.keys)
    return Stylized(item, results, spectrogram, chosen, losses, error)
