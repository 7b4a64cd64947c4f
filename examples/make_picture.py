"""Draws the README's picture from the results of `make run`: content, style, result, target."""

from pathlib import Path

import click
import librosa
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from audiostyle import audio

ROLES = ("content", "style", "result", "target")
HERE = Path(__file__).resolve().parent


@click.command()
@click.option("--results", type=click.Path(path_type=Path), default="outputs/latest")
@click.option("--pair", default="trumpet-clarinet", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default="docs/pictures/transfer.png")
def main(results: Path, pair: str, out: Path) -> None:
    """Draw four log-frequency spectrograms side by side, on one scale in dB."""
    inputs = HERE / "instruments" / "pairs" / pair
    paths = {role: inputs / f"{role}.ogg" for role in ROLES} | {"result": results / f"{pair}.wav"}
    figure, axes = plt.subplots(1, 4, figsize=(12, 2.9), sharey=True, layout="constrained")
    for axis, (role, path) in zip(axes, paths.items(), strict=True):
        recording = audio.read(path)
        power = np.abs(librosa.stft(audio.mono(recording), n_fft=2048, hop_length=256)) ** 2
        shown = librosa.power_to_db(power, ref=np.max, top_db=70)
        librosa.display.specshow(
            shown,
            sr=recording.sample_rate,
            hop_length=256,
            x_axis="time",
            y_axis="log",
            ax=axis,
            cmap="magma",
        )
        axis.set(title=role, xlabel="s", ylabel="Hz" if role == "content" else "", ylim=(60, 9000))
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=110)


if __name__ == "__main__":
    main()
