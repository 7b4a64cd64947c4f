"""The library: recordings in, recordings out, in memory. `import audiostyle` has these names.

A sound is a pair of samples and sample rate, as `read` returns it: float32 [shape=(channels,
frames)], nominally in [-1, 1], and Hz.
"""

import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from audiostyle import audio, spectrogram
from audiostyle.audio import Samples, Subtype
from audiostyle.completion import portion, watching
from audiostyle.spectrogram import SpectrogramConfig
from audiostyle.spectrogram_config import Window
from components.reconstruct.config import ReconstructConfig
from components.reconstruct.sound import sounding
from components.stylize.config import StylizeConfig
from components.stylize.networks.weights import pinned
from components.stylize.session import Session
from components.stylize.single import stylize_one
from pipeline import sound_arguments
from pipeline.classifiers import classifier_of, default_workspace
from pipeline.sound_arguments import Sound

# Share of a transfer's time that is over when phases are retrieved.
_STYLIZED = 0.8


def read(path: Path | str) -> tuple[Samples, int]:
    """Decode a recording: WAV, FLAC, OGG, MP3, AIFF, or whatever else libsndfile reads.

    Parameters
    ----------
    path : str or Path
        a file, or s3://bucket/key

    Returns
    -------
    samples : np.ndarray, float32 [shape=(channels, frames)]
        nominally in [-1, 1]

    rate : int
        samples a second, Hz; never changed

    Raises
    ------
    InputError
        where the file is missing, empty, cut off, or no audio; the message names it

    Examples
    --------
    >>> import audiostyle, tempfile
    >>> path = tempfile.mkdtemp() + "/tone.wav"
    >>> audiostyle.write(path, np.sin(np.arange(8000) / 10), 8000)
    >>> samples, rate = audiostyle.read(path)
    >>> samples.shape, samples.dtype, rate
    ((1, 8000), dtype('float32'), 8000)
    """
    recording = sound_arguments.read_sound("path", path)
    return recording.samples, recording.sample_rate


def write(
    path: Path | str, samples: npt.ArrayLike, rate: int, *, subtype: Subtype = "PCM_16"
) -> None:
    """Encode a recording as WAV or FLAC, by the ending of the name. A file there is replaced.

    Parameters
    ----------
    path : str or Path
        name of the file, whose folder is made; or s3://bucket/key

    samples : array of float [shape=(channels, frames) or (frames,)]
        in [-1, 1]

    rate : int
        samples a second, Hz

    subtype : "PCM_16", "PCM_24" or "FLOAT"
        sample format; FLAC has no "FLOAT"

    Raises
    ------
    InputError
        for another ending, for samples beyond [-1, 1] or that are not numbers, and for what the
        format does not hold
    """
    recording = sound_arguments.recording_of("samples", samples, rate)
    with sound_arguments.written(path) as file:
        audio.write(file, recording.samples, recording.sample_rate, subtype=subtype)


def magnitude(
    samples: npt.ArrayLike, *, n_fft: int = 2048, hop_length: int = 512, window: Window = "hann"
) -> npt.NDArray[np.float32]:
    """Magnitudes of the short-time Fourier transform: the spectrogram that all of this works on.

    As `np.abs(librosa.stft(samples, n_fft=n_fft, hop_length=hop_length))` gives them; `griffin_lim`
    goes back.

    Parameters
    ----------
    samples : array of float [shape=(..., frames)]
        at any rate

    n_fft : int, even, from 64 to 32768
        samples in a window

    hop_length : int, from 1 to n_fft // 2
        samples between windows

    window : "hann", "hamming" or "blackman"
        periodic

    Returns
    -------
    magnitude : np.ndarray, float32 [shape=(..., 1 + n_fft // 2, 1 + frames // hop_length)]
        linear, >= 0

    Raises
    ------
    InputError
        for settings beyond these, and for no samples

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 441 * np.arange(22050) / 22050)
    >>> spectrum = magnitude(tone)
    >>> spectrum.shape
    (1025, 44)
    >>> round(spectrum.sum(1).argmax() * 22050 / 2048)  # Hz
    441
    """
    values = {"n_fft": n_fft, "hop_length": hop_length, "window": window, "clip_seconds": 600}
    config = SpectrogramConfig.parse(values, "magnitude")
    array = torch.from_numpy(sound_arguments.floats_of("samples", samples))
    result: npt.NDArray[np.float32] = spectrogram.magnitude(array, config).numpy()
    return result


def transfer(
    content: Sound,
    style: Sound | list[Sound],
    *,
    shares: Sequence[float] | None = None,
    model: Path | str | int | None = None,
    method: str = "default",
    strength: float = 1.0,
    transpose: int | Literal["auto"] = 0,
    seed: int = 0,
    iterations: int | None = None,
    phase_iterations: int = 64,
    progress: Callable[[float], object] | None = None,
    **settings: Any,
) -> tuple[Samples, int]:
    """Give one recording the style of another, in memory.

    The samples are those that `audiostyle stylize` writes, before they are rounded to the file's
    sample format.

    Parameters
    ----------
    content : str, Path or (samples, rate)
        the recording whose melody, speech or rhythm stays: a file, s3://bucket/key, or an array of
        float [shape=(channels, frames) or (frames,)] and its rate in Hz

    style : str, Path or (samples, rate), or a list of these
        the recording whose timbre and texture the result has; any rate, length and channels; or a
        list of several, a folder, or class:NAME@DATA, which together are the style

    shares : sequence of float > 0, or None
        what each of several styles counts for; None: all the same

    model : str, Path, int or None
        a classifier's folder, or its version or alias in the registry of the workspace (`outputs`,
        or AUDIOSTYLE_WORKSPACE); None is the champion there, or else the bundled classifier

    method : str
        "default", "notes", "pretrained", or of the paper: "trained", "shallow", "base"

    strength : float, from 0 to 1
        from the content to the whole transfer

    transpose : int, from -36 to 36, or "auto"
        semitones to move the content by; "auto" moves it by octaves, to where the style is

    seed : int >= 0
        of random filters and noise: the same seed gives the same samples

    iterations : int or None
        most steps of optimization; None is the method's own choice

    phase_iterations : int >= 0
        iterations of Griffin-Lim

    progress : callable or None
        called now and then with the share that is done, from 0 to 1; what it raises ends the
        transfer

    **settings
        other settings of the stage, see `components.stylize.config.StylizeConfig`

    Returns
    -------
    samples : np.ndarray, float32 [shape=(channels, frames)]
        of the content's shape and level, never beyond [-1, 1]

    rate : int
        the content's, Hz

    Raises
    ------
    InputError
        for a recording that is missing, no audio, silent, or shorter than 0.1 s (2,048 samples at
        22,050 Hz), for settings that do not exist, and for a model that is not there

    Warns
    -----
    UserWarning
        where the loss stopped being finite; the samples are those of the last good step

    Examples
    --------
    >>> time = np.arange(22050) / 22050
    >>> melody = np.sin(2 * np.pi * 220 * time * (1 + (time > 0.5)))
    >>> noise = 0.1 * np.random.default_rng(0).standard_normal(22050)
    >>> samples, rate = transfer((melody, 22050), (noise, 22050))
    >>> samples.shape, rate
    ((1, 22050), 22050)
    """
    arguments = {"method": method, "strength": strength, "transpose": transpose, "seed": seed}
    values = {**settings, **arguments, "iterations": iterations}
    chosen = pinned(StylizeConfig.parse(values, "transfer"))
    phases = ReconstructConfig.parse({"iterations": phase_iterations}, "transfer")
    # Somebody always watches, so that no bar appears in a program's output.
    watcher = progress or (lambda _: None)
    with (
        tempfile.TemporaryDirectory(prefix="audiostyle-") as temporary,
        sound_arguments.local_sound("content", content) as local_content,
        sound_arguments.local_style(style, shares, Path(temporary)) as local_styles,
        watching(watcher),
    ):
        folder = Path(temporary)
        reference = str(model) if isinstance(model, int) else model
        place, _ = classifier_of(reference, default_workspace(), None, folder)
        session = Session(place)
        config = session.method(chosen)[0].spectrogram
        heard = sound_arguments.heard_by(session, "content", local_content, config)
        heard_style = sound_arguments.heard_by(session, "style", local_styles, config)
        with portion(0, _STYLIZED):
            stylized = stylize_one(heard, heard_style, session, chosen, name="transfer")
        if stylized.error:
            warnings.warn(stylized.error, UserWarning, stacklevel=2)
        synthesis = sounding(stylized.blocks, stylized, config, phases)
        with portion(_STYLIZED, 1), synthesis as sound:
            return np.concatenate(list(sound.parts), 1), sound.sample_rate


def distance(a: Sound, b: Sound) -> float:
    """How far two recordings are apart in timbre, whatever their level: the `lsd` of the docs.

    Root mean square over time and 80 mel bands of the difference of their log-mel spectrograms, in
    dB; both mono, at 22,050 Hz, over the length that both have.

    Parameters
    ----------
    a, b : str, Path or (samples, rate)
        files, s3://bucket/key, or arrays of float [shape=(channels, frames) or (frames,)] and their
        rates in Hz

    Returns
    -------
    distance : float
        dB; 0 for the same sound

    Raises
    ------
    InputError
        for a recording that is missing or no audio

    Examples
    --------
    >>> tone = np.sin(np.arange(22050) / 10)
    >>> distance((tone, 22050), (0.5 * tone, 22050)) < 0.01
    True
    """
    from components.reconstruct.measures.sounds import leveled
    from components.reconstruct.measures.target_distance import lsd

    both = [sound_arguments.read_sound(name, sound) for name, sound in (("a", a), ("b", b))]
    return lsd(leveled(both[0]), leveled(both[1]))
