"""The network: what it sees, what it gives out, how it is kept."""

import pickle
from pathlib import Path

import pytest
import safetensors.torch
import torch
from conftest import noise, tone

from audiostyle import network
from audiostyle.errors import ArtifactError, InputError
from audiostyle.network import TAPS, Classifier, NetworkConfig
from audiostyle.spectrogram import SpectrogramConfig, magnitude

SPECTROGRAM = SpectrogramConfig()


def model(**changes: object) -> Classifier:
    torch.manual_seed(0)
    config = NetworkConfig.parse({"channels": (4, 6, 8, 10), "bands": 40, **changes}, "test")
    return Classifier(config, SPECTROGRAM, ("a", "b", "c")).eval()


def sound(seconds: float = 3.0) -> torch.Tensor:
    samples = tone(300, harmonics=9, seconds=seconds) + noise(seconds=seconds, level=0.01)
    return magnitude(torch.from_numpy(samples), SPECTROGRAM)[None]


@pytest.mark.parametrize("representation", ["linear", "mel", "log-frequency"])
@pytest.mark.parametrize("seconds", [0.1, 3.0, 7.0])
def test_any_length_is_classified(representation: str, seconds: float) -> None:
    net = model(representation=representation)
    assert net(sound(seconds)).shape == (1, 3)
    taken = net.features(sound(seconds))
    assert list(taken) == list(TAPS)
    assert [value.shape[1] for value in taken.values()] == [4, 6, 8, 10]
    assert all((value >= 0).all() for value in taken.values())


@pytest.mark.parametrize("representation", ["linear", "mel", "log-frequency"])
def test_gradient_reaches_every_frame(representation: str) -> None:
    x = sound().requires_grad_()
    model(representation=representation)(x).sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()
    assert (x.grad.abs().amax(1) > 0).all()


def test_level_does_not_count() -> None:
    net = model()
    torch.testing.assert_close(net(sound()), net(sound() * 0.01), rtol=1e-3, atol=1e-3)


def test_silence_is_finite() -> None:
    x = torch.zeros(1, SPECTROGRAM.bins, 20, requires_grad=True)
    out = model()(x)
    out.sum().backward()
    assert out.isfinite().all()
    assert x.grad is not None and x.grad.isfinite().all()


def test_only_what_is_asked_for() -> None:
    net = model()
    assert list(net.features(sound(), ("conv2",))) == ["conv2"]
    with pytest.raises(InputError, match="conv9"):
        net.features(sound(), ("conv9",))
    with pytest.raises(InputError, match=r"\[1, 7, 9\]"):
        net(torch.zeros(1, 7, 9))


def test_round_trip(tmp_path: Path) -> None:
    net = model()
    net.band_mean.fill_(-3)
    network.save(net, tmp_path)
    again = network.load(tmp_path)
    assert again.class_names == ("a", "b", "c")
    torch.testing.assert_close(again(sound()), net(sound()), rtol=0, atol=0)


def _without(weights: dict[str, torch.Tensor]) -> None:
    del weights["head.bias"]


def _with_more(weights: dict[str, torch.Tensor]) -> None:
    weights["extra"] = torch.zeros(1)


def _of_other_shape(weights: dict[str, torch.Tensor]) -> None:
    weights["head.bias"] = torch.zeros(7)


def _not_finite(weights: dict[str, torch.Tensor]) -> None:
    weights["head.bias"][0] = float("nan")


@pytest.mark.parametrize(
    "change, words",
    [
        (_without, "head.bias"),
        (_with_more, "extra"),
        (_of_other_shape, "head.bias"),
        (_not_finite, "not finite in head.bias"),
    ],
)
def test_weights_that_do_not_fit_are_refused(change: object, words: str, tmp_path: Path) -> None:
    network.save(model(), tmp_path)
    path = tmp_path / "weights.safetensors"
    weights = safetensors.torch.load_file(path)
    change(weights)  # type: ignore[operator]
    safetensors.torch.save_file(weights, path)
    with pytest.raises(ArtifactError, match=words) as caught:
        network.load(tmp_path)
    assert "weights.safetensors" in str(caught.value)


class _Trap:
    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return (Path.touch, (Path("/tmp/audiostyle-trap"),))  # noqa: S108


def test_a_pickle_is_not_loaded(tmp_path: Path) -> None:
    network.save(model(), tmp_path)
    trap = Path("/tmp/audiostyle-trap")  # noqa: S108
    trap.unlink(missing_ok=True)
    torch.save({"head.bias": torch.zeros(3)}, tmp_path / "weights.safetensors")
    with pytest.raises(ArtifactError, match="is not safetensors"):
        network.load(tmp_path)
    (tmp_path / "weights.safetensors").write_bytes(pickle.dumps(_Trap()))
    with pytest.raises(ArtifactError, match="is not safetensors"):
        network.load(tmp_path)
    assert not trap.exists()


def alexnet(**changes: object) -> Classifier:
    torch.manual_seed(0)
    values = {"architecture": "alexnet", "channels": (4, 6, 8, 6, 6), **changes}
    return Classifier(NetworkConfig.parse(values, "test"), SPECTROGRAM, ("a", "b")).eval()


def test_alexnet_has_five_layers_and_reaches_every_frame(tmp_path: Path) -> None:
    net = alexnet()
    for seconds in (0.1, 3.0):
        taken = net.features(sound(seconds))
        assert list(taken) == ["conv1", "conv2", "conv3", "conv4", "conv5"]
        assert [value.shape[1] for value in taken.values()] == [4, 6, 8, 6, 6]
        # Its last layers see what the third sees.
        assert len({value.shape[2:] for value in list(taken.values())[2:]}) == 1
    x = sound().requires_grad_()
    net(x).sum().backward()
    assert x.grad is not None and (x.grad.abs().amax(1) > 0).all()
    network.save(net, tmp_path)
    torch.testing.assert_close(network.load(tmp_path)(sound()), net(sound()), rtol=0, atol=0)


def test_architectures_have_their_own_channels() -> None:
    assert NetworkConfig().channels == (24, 48, 96, 128)
    ours = NetworkConfig(architecture="alexnet")
    assert ours.channels == (64, 192, 384, 256, 256)
    assert NetworkConfig.parse(ours.plain(), "test") == ours
    # What was trained before there was a choice reads as it was.
    assert "architecture" not in NetworkConfig().plain()
    for bad in (
        {"channels": (1, 2, 3, 4, 5)},
        {"architecture": "alexnet", "channels": (1, 2, 3, 4)},
        {"channels": ()},
        {"architecture": "vgg"},
    ):
        with pytest.raises(InputError, match=r"channels|architecture"):
            NetworkConfig.parse(bad, "test")


def test_devices() -> None:
    assert network.device_of("cpu").type == "cpu"
    with pytest.raises(InputError, match="abacus"):
        network.device_of("abacus")
    if not torch.cuda.is_available():
        assert network.device_of("auto").type == "cpu"
        with pytest.raises(InputError, match="no usable GPU"):
            network.device_of("cuda")
