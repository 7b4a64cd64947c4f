"""The pictures of docs/paper.md: spectrograms, and curves over steps."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import librosa
import matplotlib
import numpy as np
import numpy.typing as npt

from audiostyle.audio import Samples

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from librosa.display import specshow


def spectrograms(path: Path, shown: dict[str, Samples], rate: int, columns: int) -> None:
    """Log-frequency spectrograms on one scale of 70 dB."""
    rows = -(-len(shown) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(3 * columns, 2.4 * rows), layout="constrained", squeeze=False
    )
    for axis in axes.flat[len(shown) :]:
        axis.set_axis_off()
    for axis, (title, sound) in zip(axes.flat, shown.items(), strict=False):
        power = np.abs(librosa.stft(sound, n_fft=2048, hop_length=256)) ** 2
        specshow(
            librosa.power_to_db(power, ref=np.max, top_db=70),
            sr=rate,
            hop_length=256,
            x_axis="time",
            y_axis="log",
            ax=axis,
            cmap="magma",
        )
        axis.set(title=title, xlabel="s", ylabel="Hz", ylim=(60, 9000))
        axis.label_outer()
    _save(figure, path)


def curves(path: Path, drawn: Mapping[str, npt.ArrayLike], x: str, y: str, *, log: bool) -> None:
    """Lines over steps."""
    figure, axis = plt.subplots(figsize=(6, 3.2), layout="constrained")
    for name, values in drawn.items():
        axis.plot(np.asarray(values), label=name)
    if log:
        axis.set(yscale="log", xscale="symlog", xlim=(0, None))
    axis.set(xlabel=x, ylabel=y)
    axis.legend()
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Without the date and version that matplotlib would put in: equal runs, equal files.
    figure.savefig(path, dpi=90, metadata={"Software": None})
    plt.close(figure)
