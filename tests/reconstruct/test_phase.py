"""Phase retrieval through its public face: what must hold of any sound, and what is refused."""

from typing import Any

import librosa
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from audiostyle.errors import InputError
from components.reconstruct.phase.retrieval import griffin_lim, spectral_convergence

RATE = 22050


def sounds(length: int = 22050, clips: int = 2) -> np.ndarray:
    """Decaying harmonic notes in a little noise. float32 [clips, length]."""
    random = np.random.default_rng(7)
    t = np.arange(length) / RATE
    out = 0.002 * random.standard_normal((clips, length))
    for clip in out:
        for onset in (0.05, 0.3, 0.6):
            since = np.maximum(t - onset, 0)
            pitch = random.uniform(150, 700)
            partials = sum(np.sin(2 * np.pi * k * pitch * since) / k for k in range(1, 7))
            clip += 0.1 * (t >= onset) * np.exp(-3 * since) * partials
    return out.astype(np.float32)


def transform(samples: np.ndarray, n_fft: int = 2048, hop: int = 512) -> np.ndarray:
    return np.asarray(librosa.stft(samples, n_fft=n_fft, hop_length=hop))


def magnitudes(samples: np.ndarray, n_fft: int = 2048, hop: int = 512) -> np.ndarray:
    return np.asarray(np.abs(transform(samples, n_fft, hop)))


def test_the_true_phase_gives_the_sound_back() -> None:
    sound = sounds()
    spectrum = transform(sound)
    for n_iter in (0, 1, 8):
        output = griffin_lim(
            np.abs(spectrum), n_iter=n_iter, init="phase", phase=np.angle(spectrum), length=22050
        )
        np.testing.assert_allclose(output, sound, atol=2e-6)
    assert (spectral_convergence(np.abs(spectrum), sound) < -100).all()


def test_convergence_is_what_its_definition_says() -> None:
    wanted, other = magnitudes(sounds()), sounds()[::-1].copy()
    reached = magnitudes(other)
    for clip in range(2):
        error = np.linalg.norm(reached[clip] - wanted[clip]) / np.linalg.norm(wanted[clip])
        db = spectral_convergence(wanted, other)[clip]
        assert db == pytest.approx(20 * np.log10(error), abs=1e-3)


def test_plain_iterations_never_lose_consistency() -> None:
    wanted = magnitudes(sounds())
    reached = [
        spectral_convergence(
            wanted, griffin_lim(wanted, n_iter=n, momentum=0, init="random", length=22050)
        )
        for n in range(8)
    ]
    # The theorem of 1984 is about the error after the inverse; its samples are these.
    assert (np.diff(reached, axis=0) <= 1e-3).all()


def test_momentum_and_integrated_phases_each_help() -> None:
    wanted = magnitudes(sounds())

    def reached(**kind: Any) -> float:
        output = griffin_lim(wanted, n_iter=24, length=22050, **kind)
        return float(spectral_convergence(wanted, output).mean())

    plain = reached(momentum=0, init="random")
    fast = reached(init="random")
    assert fast < plain - 2
    assert reached() < fast - 3


@pytest.mark.parametrize("momentum", [0.0, 0.99])
def test_it_is_the_algorithm_that_librosa_has(momentum: float) -> None:
    """From the same phases, the same sound."""
    wanted = magnitudes(sounds(clips=1)[0])
    phase = np.zeros_like(wanted)
    theirs = librosa.griffinlim(wanted, n_iter=6, momentum=momentum, init=None, length=22050)
    ours = griffin_lim(wanted, n_iter=6, momentum=momentum, init="phase", phase=phase, length=22050)
    np.testing.assert_allclose(ours, theirs, atol=1e-3 * np.abs(theirs).max())  # -60 dB


def test_auto_takes_the_better_start_of_each_clip() -> None:
    spectrum = transform(sounds())
    wanted = np.abs(spectrum)
    phase = np.angle(spectrum)
    phase[1] = np.random.default_rng(0).uniform(-np.pi, np.pi, phase[1].shape)  # of no use
    auto, integrated, given_phase = (
        griffin_lim(wanted, init=init, phase=phase, n_iter=12) for init in ("auto", "pghi", "phase")
    )
    np.testing.assert_allclose(auto[0], given_phase[0], atol=1e-5)
    np.testing.assert_allclose(auto[1], integrated[1], atol=1e-5)


def test_a_clip_does_not_depend_on_its_batch() -> None:
    wanted = magnitudes(sounds(clips=3))
    for init in ("auto", "random"):
        batch = griffin_lim(wanted, n_iter=4, init=init)
        for clip in range(3):
            np.testing.assert_array_equal(
                batch[clip], griffin_lim(wanted[clip], n_iter=4, init=init)
            )


def test_numpy_and_torch_in_and_out() -> None:
    wanted = magnitudes(sounds()).astype(np.float64)
    ours = griffin_lim(wanted, n_iter=3)
    tensor = griffin_lim(torch.from_numpy(wanted).requires_grad_(), n_iter=3)
    assert isinstance(ours, np.ndarray) and ours.dtype == np.float32
    assert isinstance(tensor, torch.Tensor) and tensor.dtype == torch.float32
    assert not tensor.requires_grad
    np.testing.assert_array_equal(ours, tensor.numpy())
    nested = griffin_lim(wanted.reshape(2, 1, *wanted.shape[1:]), n_iter=3)
    np.testing.assert_array_equal(nested[:, 0], ours)
    convergence = spectral_convergence(tensor.new_tensor(wanted), tensor)
    assert isinstance(convergence, torch.Tensor) and convergence.shape == (2,)
    wanted.flags.writeable = False
    np.testing.assert_array_equal(griffin_lim(wanted, n_iter=3), ours)


def test_the_seed_decides() -> None:
    wanted = magnitudes(sounds())

    def output(seed: int) -> np.ndarray:
        return griffin_lim(wanted, n_iter=2, init="random", seed=seed)

    np.testing.assert_array_equal(output(3), output(3))
    assert np.abs(output(3) - output(4)).max() > 1e-3


def test_torch_keeps_its_threads() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    try:
        griffin_lim(magnitudes(sounds()), n_iter=1)
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)


def test_silence_is_exact() -> None:
    wanted = magnitudes(sounds())
    wanted[1] = 0
    for init in ("auto", "random", "phase"):
        output = griffin_lim(wanted, n_iter=3, init=init, phase=np.zeros_like(wanted))
        assert np.abs(output[0]).max() > 0.01
        assert (output[1] == 0).all()
    assert spectral_convergence(wanted, output)[1] == -np.inf
    half = wanted[:1].copy()
    half[..., 30:] = 0  # a gap inside a clip, too
    assert np.isfinite(griffin_lim(half)).all()
    assert (griffin_lim(half)[:, 36 * 512 :] == 0).all()


@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_the_unit_of_the_magnitudes_is_free(scale: float) -> None:
    wanted = magnitudes(sounds())
    output = griffin_lim(wanted * np.float32(scale), n_iter=8) / np.float32(scale)
    ours = griffin_lim(wanted, n_iter=8)
    assert spectral_convergence(wanted, output) == pytest.approx(
        spectral_convergence(wanted, ours), abs=0.1
    )


@settings(max_examples=25, deadline=None)
@given(
    n_fft=st.sampled_from([16, 30, 64, 65]),
    share=st.integers(2, 9),
    frames=st.integers(1, 40),
    extra=st.floats(0, 1, exclude_max=True),
    seed=st.integers(0, 9),
)
def test_any_length_is_exact(n_fft: int, share: int, frames: int, extra: float, seed: int) -> None:
    hop = max(1, n_fft // share)
    length = hop * (frames - 1) + int(extra * hop)
    wanted = np.random.default_rng(seed).uniform(size=(n_fft // 2 + 1, frames))
    output = griffin_lim(wanted, n_iter=3, n_fft=n_fft, hop_length=hop, length=length)
    assert output.shape == (length,)
    assert np.isfinite(output).all()
    assert griffin_lim(wanted, n_iter=0, n_fft=n_fft, hop_length=hop).shape == (hop * (frames - 1),)


@pytest.mark.parametrize("window", ["hamming", "blackman", np.hanning(513)[:-1]])
@pytest.mark.parametrize("hop", [128, 100])
def test_other_windows_and_hops(window: Any, hop: int) -> None:
    sound = sounds(length=11025, clips=1)[0]
    wanted = np.abs(librosa.stft(sound, n_fft=512, hop_length=hop, window=window))
    shape = {"n_fft": 512, "hop_length": hop, "window": window}
    output = griffin_lim(wanted, length=11025, **shape)
    assert spectral_convergence(wanted, output, **shape) < -20


def spoilt(value: float) -> np.ndarray:
    out = np.ones((2, 1025, 9), np.float32)
    out[1, 700, 5] = value
    return out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"magnitude": spoilt(np.nan)}, r"magnitude: \[1, 700, 5\] is nan"),
        ({"magnitude": spoilt(np.inf)}, r"magnitude: \[1, 700, 5\] is inf"),
        ({"magnitude": spoilt(-2)}, r"magnitude: \[1, 700, 5\] is -2\.0"),
        ({"magnitude": np.ones((1025, 9), complex)}, "magnitude: is complex"),
        ({"magnitude": np.ones((1024, 9))}, r"magnitude: has 1024 bins .* asks for 1025"),
        ({"magnitude": np.ones((1025, 0))}, "magnitude: has no frames"),
        ({"magnitude": np.ones(1025)}, "magnitude: has 1 dimensions"),
        ({"magnitude": [[1.0]]}, "magnitude: list is neither"),
        ({"magnitude": np.full((1025, 9), "a")}, "magnitude: is an array of <U1"),
        ({"init": "phase"}, "phase: None"),
        ({"phase": np.ones((1025, 8))}, r"phase: has shape \(1025, 8\), magnitude \(1025, 9\)"),
        (
            {"phase": np.full((1025, 9), np.nan)},
            r"phase: \[0, 0\] is nan",
        ),
        ({"init": "zero"}, "init: 'zero' is not one of auto, random, pghi, phase"),
        ({"n_iter": -1}, "n_iter: -1"),
        ({"n_iter": 1.5}, "n_iter: 1.5"),
        ({"n_fft": 0}, "n_fft: 0"),
        ({"hop_length": 0}, "hop_length: 0 .* 1 to 1024"),
        ({"hop_length": 1025}, "hop_length: 1025"),
        ({"momentum": float("nan")}, "momentum: nan"),
        ({"momentum": 1.1}, "momentum: 1.1"),
        ({"seed": -1}, "seed: -1"),
        ({"window": "kaiser"}, "window: 'kaiser' is not one of hann"),
        ({"window": np.ones(9)}, r"window: has shape \(9,\), n_fft asks for \(2048,\)"),
        ({"window": np.zeros(2048)}, "window: must be finite and not all zero"),
        ({"window": 3}, "window: int"),
        ({"length": 4095}, "length: 4095 samples; 9 frames mean 4096 to 4607"),
        ({"length": 4608}, "length: 4608 samples"),
    ],
)
def test_what_cannot_be_used_is_named(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        griffin_lim(**{"magnitude": np.ones((1025, 9), np.float32), **arguments})


def test_convergence_refuses_what_does_not_fit() -> None:
    with pytest.raises(InputError, match="length: 100 samples"):
        spectral_convergence(np.ones((1025, 9)), np.zeros(100))
    with pytest.raises(InputError, match="samples: has shape"):
        spectral_convergence(np.ones((2, 1025, 9)), np.zeros((3, 4096)))
