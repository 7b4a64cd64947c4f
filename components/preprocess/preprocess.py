"""The preprocess stage: every clip of a data set becomes a spectrogram, from the cache or anew."""

import dataclasses
import logging
import os
import shutil
import stat
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from audiostyle import audio, spectrogram_set
from audiostyle.artifacts import bytes_digest, file_digest
from audiostyle.audio import blocks
from audiostyle.audio.levels import samples_in
from audiostyle.errors import AudioError
from audiostyle.files import temporary_folder
from audiostyle.spectrogram import SpectrogramConfig, magnitude
from audiostyle.spectrogram_set import Clip, Failure
from components.preprocess.cache import SpectrogramCache, key_of, settings_digest
from components.preprocess.config import CutConfig
from components.preprocess.config import PreprocessConfig as PreprocessConfig
from components.preprocess.cutting import count, cut
from components.preprocess.data_set import data_set
from components.preprocess.extract import is_archive
from components.preprocess.failures import bounded
from components.preprocess.fetch import located, named

log = logging.getLogger(__name__)

# Bytes of spectrograms that are worked on ahead of the one that is written next: 48 clips of 3 s,
# enough that the workers do not wait while a shard of 128 is written.
AHEAD = 26 << 20
# Windows of a long recording that are worked on together.
WINDOWS = 32
# Bytes up to which a file is read into memory whole.
_SMALL = 64 << 20

_Result = tuple[Clip, Tensor] | Failure


def preprocess(
    data: Path | str, out: Path | str, config: PreprocessConfig, *, name: str = ""
) -> None:
    """Write the spectrogram set of a data set.

    data: a folder, an archive of one, or a manifest; see `data_set`. name: what errors call it,
    where a person calls it something else than `data`.
    Raises InputError where the folder is no data set, where more than `max_failures` of its files
    cannot be used, or all of a class; others are named in the artifact's `failures.jsonl`.
    """
    data, out = Path(data), Path(out)
    name = name or str(data)
    if data.is_file() and is_archive(data):
        home = temporary_folder(out)
        try:
            folder = located(str(data), home)
            _preprocess(folder, out, config, name, data.resolve().name)
        finally:
            shutil.rmtree(home, ignore_errors=True)
    else:
        _preprocess(data, out, config, name, data.resolve().name)


def _preprocess(
    folder: Path, out: Path, config: PreprocessConfig, name: str, short_name: str
) -> None:
    cache = SpectrogramCache(config.cache) if config.cache else None
    with named(folder, name):
        listing = data_set(
            folder,
            seed=config.seed,
            validation=config.validation,
            test=config.test,
            layout=config.layout,
        )
    for note in listing.notes:
        log.warning("data: %s: %s", name, note)
    total = len(listing.clips)
    about = {
        "name": short_name,
        "layout": listing.layout,
        "clips": total,
        "cut": config.cut.plain(),
    }
    results = list_results(
        listing.root,
        listing.clips,
        config.spectrogram,
        cut_config=config.cut,
        cache=cache,
        workers=config.workers,
    )
    # Of a manifest that was named itself, paths are relative to its folder.
    place = name if listing.root == folder else str(Path(name).parent)
    checked = bounded(results, listing.clips, config.max_failures, place)
    spectrogram_set.write(out, config.spectrogram, about, _flat(checked))
    classes = len({clip.label for clip in listing.clips})
    log.info("preprocess: %d files of %d classes", total, classes)
    if cache:
        counts = cache.counts
        log.info(
            "preprocess: %d files from the cache, %d computed, %d of these damaged there",
            counts.hits,
            counts.computed,
            counts.damaged,
        )


def list_results(
    root: Path,
    clips: list[Clip],
    spectrogram: SpectrogramConfig,
    *,
    cut_config: CutConfig | None = None,
    cache: SpectrogramCache | None = None,
    workers: int = 0,
) -> Iterator[list[tuple[Clip, Tensor]] | Failure]:
    """Spectrograms of every file, in order: mostly one of each, or why there is none.

    Decoding, resampling, FFTs, hashes and files all leave the interpreter's lock, so that threads
    use every core without a process's start or a copy of every spectrogram between processes
    (measured in benchmarks.preprocess). Of the windows of long recordings a part comes at a time.
    However large the data, or one recording of it, AHEAD bytes are held.
    """
    cut_config = cut_config or CutConfig()
    work = _Work(root, spectrogram, cut_config, cache, settings_digest(spectrogram, cut_config))
    threads = torch.get_num_threads()
    # Workers that wait for a server leave their core to others.
    remote = cache is not None and cache.store.uri.startswith("s3:")
    workers = workers or (os.cpu_count() or 1) * (2 if remote else 1)
    windows = WINDOWS if cut_config.long == "windows" else 1
    ahead = max(2 * workers, AHEAD // (windows * 4 * spectrogram.bins * spectrogram.clip_frames))
    # The first transform of a process sets the FFT library up, which is not for several threads at
    # a time: of a run in hundreds, spectrograms then differed in their last bits.
    _take_one_core()
    magnitude(torch.zeros(spectrogram.clip_samples), spectrogram)
    with ThreadPoolExecutor(workers, "preprocess", _take_one_core) as pool:
        waiting: deque[Future[list[tuple[Clip, Tensor]] | Failure]] = deque()
        try:
            for clip in clips:
                for part in work.parts(clip):
                    waiting.append(pool.submit(work.analyze, *part))
                    if len(waiting) >= ahead:
                        yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
            torch.set_num_threads(threads)


def _take_one_core() -> None:
    # Torch would split every FFT over all cores, and as many workers as cores do that at a time.
    torch.get_num_threads()  # torch gives a new thread its count late, over what it was set to
    torch.set_num_threads(1)


@dataclasses.dataclass(frozen=True)
class _Work:
    root: Path
    spectrogram: SpectrogramConfig
    cut: CutConfig
    cache: SpectrogramCache | None
    settings: str

    def parts(self, clip: Clip) -> Iterator[tuple[Clip, range, int]]:
        """What is worked on at a time: of a file's windows WINDOWS, else all there is.

        A clip, the numbers of its windows, and how many it has in all.
        """
        if self.cut.long != "windows":
            yield clip, range(1), 1
            return
        path = self.root / clip.path
        try:
            with audio.opening(path) as file:
                windows = self._count(file)
            if windows > WINDOWS:  # once, rather than for every part
                clip = dataclasses.replace(clip, sha256=file_digest(path))
        except (AudioError, OSError, ValueError):
            windows = 1  # whose analysis tells why there is none
        for start in range(0, windows, WINDOWS):
            yield clip, range(start, min(start + WINDOWS, windows)), windows

    def analyze(
        self, clip: Clip, numbers: range, windows: int
    ) -> list[tuple[Clip, Tensor]] | Failure:
        path = self.root / clip.path
        try:
            status = path.stat()
            if not stat.S_ISREG(status.st_mode):
                return Failure(clip.path, "is not a file")
            # Small files are read once, to be hashed and decoded; large ones do not fit.
            content = path.read_bytes() if status.st_size <= _SMALL else None
            if not clip.sha256:
                digest = file_digest(path) if content is None else bytes_digest(content)
                clip = dataclasses.replace(clip, sha256=digest)
        except FileNotFoundError:
            return Failure(clip.path, "does not exist")
        except ValueError:
            return Failure(clip.path, "is no path: it holds a NUL")
        except OSError as error:
            return Failure(clip.path, f"cannot be read: {error.strerror}")
        key = key_of(clip.sha256, self.settings, numbers)
        shape = (len(numbers), self.spectrogram.bins, self.spectrogram.clip_frames)
        magnitudes, damaged = self.cache.get(key, shape) if self.cache else (None, False)
        if magnitudes is None:
            try:
                magnitudes = self._compute(path, content, numbers, windows)
            except AudioError as error:
                return Failure(clip.path, error.reason)
            if self.cache:
                self.cache.put(key, magnitudes, replace=damaged)
        return self._clips(clip, magnitudes, numbers)

    def _compute(self, path: Path, content: bytes | None, numbers: range, windows: int) -> Tensor:
        """Spectrograms of a file's clips. Output: [clips, bins, frames] float32."""
        config = self.spectrogram
        seconds = config.n_fft / config.sample_rate
        with audio.opening(path, content) as file:
            if not file.holds(samples_in(seconds, file.sample_rate)):
                audio.require_seconds(file.frames, file.sample_rate, path, least=seconds)
            clips = cut(file, config.sample_rate, config.clip_samples, self.cut, numbers)
        peaks = np.abs(clips).max(1)
        if windows == len(numbers) and peaks.max() < audio.SILENCE:
            # Of a recording that is heard elsewhere, even a silent beginning counts.
            facts = blocks.facts(path, content)
            for _ in facts.through(blocks.blocks(path, content)):
                pass
            blocks.require_sound(facts, path, seconds=0)
        if self.cut.long == "windows":
            clips[peaks < audio.SILENCE] = 0
        return magnitude(torch.from_numpy(clips), config)

    def _count(self, file: audio.AudioFile) -> int:
        config = self.spectrogram
        return count(file, config.sample_rate, config.clip_samples, self.cut)

    def _clips(self, clip: Clip, magnitudes: Tensor, numbers: range) -> list[tuple[Clip, Tensor]]:
        if self.cut.long != "windows":
            return [(clip, magnitudes[0])]
        hop = self.cut.hop_seconds
        return [
            (dataclasses.replace(clip, start=round(number * hop, 6)), one)
            for number, one in zip(numbers, magnitudes, strict=True)
            # Silence is stored as zeros, and left out: it says nothing of the label.
            if one.any()
        ]


def _flat(results: Iterable[list[tuple[Clip, Tensor]] | Failure]) -> Iterator[_Result]:
    for result in results:
        if isinstance(result, Failure):
            yield result
        else:
            yield from result
