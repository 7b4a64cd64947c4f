"""Which recordings a result's file can hold: known before any work."""

from pathlib import Path

from audiostyle import audio
from audiostyle.errors import AudioError, InputError
from components.reconstruct.config import ReconstructConfig


def check_format(
    name: str, config: ReconstructConfig, *, channels: int, sample_rate: int, samples: int
) -> None:
    """Raise InputError where the result of such a content cannot be in the format of `config`.

    name: of the file, without ending. sample_rate: Hz. samples: of one channel.
    """
    rate = config.sample_rate or sample_rate
    audio.check_writable(
        f"{name}.{config.format}",
        config.subtype,
        channels=1 if config.channels == "mono" else channels,
        sample_rate=rate,
        frames=-(-samples * rate // sample_rate),
    )


def check_content(path: Path, config: ReconstructConfig) -> None:
    """Raise AudioError where a content is no audio, or its result cannot be written."""
    with audio.opening(path) as file:
        try:
            check_format(
                "result", config, channels=file.channels, sample_rate=file.sample_rate, samples=0
            )
        except InputError as error:
            # The result has another name than here, which the message need not say.
            reason = str(error).removeprefix(f"result.{config.format}: ")
            raise AudioError(path, f"cannot have a result in this format: {reason}") from None
