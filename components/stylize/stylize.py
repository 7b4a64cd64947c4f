"""The stylize stage: pairs of recordings and a classifier in, stylized spectrograms out.

Three passes, each over blocks, so that memory does not grow with length: every recording is heard
once and checked; windows of all contents are stylized in batches, which are saved as they finish;
windows are cross-faded, shared among the channels, and written.
"""

import logging
import math
from collections.abc import Sequence
from importlib.metadata import version
from itertools import takewhile
from pathlib import Path
from typing import Any

from audiostyle import artifacts, stylized_set
from audiostyle.spectrogram import SpectrogramConfig
from audiostyle.work_folder import claimed
from components.stylize.batches import Item, batches_of, stylize_windows
from components.stylize.channels import stylized_blocks
from components.stylize.checkpoint import Checkpoint
from components.stylize.config import StylizeConfig
from components.stylize.fetch import fetched
from components.stylize.heard import lines_of, mean_of
from components.stylize.networks.weights import pinned
from components.stylize.pairs import Pair
from components.stylize.session import Session
from components.stylize.spectra import Source
from components.stylize.transfer import settings_used
from components.stylize.windows import windows_over

log = logging.getLogger(__name__)


def stylize(
    pairs: Sequence[Pair],
    classifier: Path | str,
    out: Path | str,
    config: StylizeConfig,
    model_name: str = "",
    work: Path | str | None = None,
    *,
    session: Session | None = None,
) -> list[str]:
    """Stylize every pair and write a stylized set; returns what went wrong with single items.

    classifier: a classifier artifact. model_name: what to call it in the settings and on the
    report page, e.g. its registry version. work: folder for what an interrupted call has
    finished; the same call goes on from there. By default beside `out`. session: what
    successive calls with this classifier share.

    The weights of a network from elsewhere are checked first; raises InputError naming the file.
    Every recording is checked before the first is worked on; raises AudioError naming the file
    that is missing, empty, silent, corrupt or too short. An item whose loss stops being finite is
    written in its last good state; its error is recorded with it, and returned.
    """
    config = pinned(config)
    session = session or Session(classifier)
    opened = session.opened
    method, styles = session.method(config)
    model = method.model
    chosen = settings_used(method, config)
    about: dict[str, Any] = {
        "spectrogram": model.spectrogram.plain(),
        "stylize": chosen,
        "model": {"name": model_name, "digest": opened.digest},
    }
    if origin := method.origin():
        about["network"] = origin
    folder = Path(work) if work else Path(out).parent / f".{Path(out).name}.work"
    with fetched(pairs, folder) as local:
        pending = _items(local, config, model.spectrogram, session)
        batches = batches_of(pending, config.batch or (64 if method.device.type == "cuda" else 1))
        done_by = [version("audiostyle"), chosen, opened.digest]
        key = artifacts.digest_of([*done_by, batches, [item.plain() for item in pending]])
        with claimed(folder / key[:16]) as own:
            checkpoint = Checkpoint(own)
            stylize_windows(pending, batches, method, config, checkpoint, styles)
            items = []
            with artifacts.writing(out, artifacts.STYLIZED_SET, about) as written:
                for item in pending:
                    settings = {**chosen, "model": model_name}
                    items.append(_write(written, item, checkpoint, model.spectrogram, settings))
                    _log(items[-1], len(items), len(pending))
                stylized_set.save_items(written, items)
            checkpoint.clear()
    return [item.error for item in items if item.error]


def _items(
    pairs: Sequence[Pair],
    config: StylizeConfig,
    spectrogram: SpectrogramConfig,
    session: Session,
) -> list[Item]:
    """All pairs, with their recordings read; one that several pairs share is read once."""
    sources: dict[Path, Source] = {}
    items = []
    for number, pair in enumerate(pairs):
        by_role = {}
        for role, path in pair.recordings().items():
            path = Path(path)
            if path not in sources:
                sources[path] = session.hear(path, spectrogram)
            by_role[role] = sources[path]
        windows = windows_over(by_role["content"].frames, spectrogram, config)
        items.append(Item(number, pair.id, by_role, windows))
    return items


def _write(
    folder: Path,
    item: Item,
    checkpoint: Checkpoint,
    spectrogram: SpectrogramConfig,
    settings: dict[str, Any],
) -> stylized_set.Item:
    content = item.content.facts
    curves, error = checkpoint.outcome(item.keys)
    # Up to where they stopped being numbers, which JSON could not hold.
    losses = {term: list(takewhile(math.isfinite, values)) for term, values in curves.items()}
    shards = stylized_set.save_shards(
        folder, item.id, stylized_blocks(item, checkpoint, spectrogram)
    )
    return stylized_set.Item(
        id=item.id,
        sample_rate=content.sample_rate,
        samples=content.samples,
        channels=content.channels,
        rms=content.rms,
        frames=item.content.frames,
        shards=shards,
        sources={role: source.path.name for role, source in item.sources.items()},
        audio={
            role: stylized_set.save_audio(folder, source.path, source.digest)
            for role, source in item.sources.items()
        },
        settings=settings,
        losses=losses,
        error=error,
        heard=lines_of(mean_of(checkpoint.heard(item.keys))),
    )


def _log(item: stylized_set.Item, number: int, count: int) -> None:
    total = item.losses.get("total")
    fall = f", loss {total[0]:.4g} -> {total[-1]:.4g}" if total else ""
    log.info("stylize: %d/%d %s%s", number, count, item.id, fall)
    if item.error:
        log.error("stylize: %s", item.error)
