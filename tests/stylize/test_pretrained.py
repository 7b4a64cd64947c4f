"""Networks from elsewhere: what they hear, their layers, and weights that fit or are refused."""

import json
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from click.testing import CliRunner
from conftest import RATE, noise, tone
from torch import Tensor

from audiostyle import artifacts, stylized_set
from audiostyle.errors import InputError
from audiostyle.spectrogram import SpectrogramConfig, magnitude
from components.stylize.__main__ import main as stage
from components.stylize.config import StylizeConfig
from components.stylize.methods.parts.method import LEVEL
from components.stylize.networks.catalog import CATALOG
from components.stylize.networks.hearing import hearing, log_mel, resampled
from components.stylize.networks.stacks import Stack, build, randomize
from components.stylize.networks.weights import pinned, require_hash
from pipeline.cli import main

CONFIG = SpectrogramConfig()
NETWORKS = pytest.mark.parametrize("network", CATALOG)


def scaled(samples: np.ndarray) -> Tensor:
    x = magnitude(torch.from_numpy(samples), CONFIG)[None]
    return x * (LEVEL / x.square().mean().sqrt())


@NETWORKS
@pytest.mark.parametrize("seconds", [0.1, 1.0])
def test_every_layer_hears_a_clip_of_any_length(network: str, seconds: float) -> None:
    stack = build(network, 1 / 16)
    randomize(stack, 0)
    x = scaled(tone(440, harmonics=5, seconds=seconds)).requires_grad_()
    layers = CATALOG[network].layers
    taken = stack.activations(hearing(network, x.detach(), CONFIG)(x), layers)
    assert list(taken) == list(layers)
    assert all(value.numel() and (value >= 0).all() for value in taken.values())
    total = torch.stack([value.square().mean() for value in taken.values()]).sum()
    (gradient,) = torch.autograd.grad(total, x)
    assert gradient.isfinite().all()
    # A picture has few columns for a short clip, but every frame is in one of them.
    assert (gradient.abs().amax(1) > 0).float().mean() > 0.9
    with pytest.raises(InputError, match=f"{network} has no conv99"):
        stack.activations(hearing(network, x.detach(), CONFIG)(x), ("conv99",))


@NETWORKS
def test_random_weights_keep_the_size_of_activations(network: str) -> None:
    stack = build(network, 1 / 4)
    randomize(stack, 3)
    x = scaled(tone(440, harmonics=9, seconds=1))
    taken = stack.activations(hearing(network, x, CONFIG)(x), CATALOG[network].layers)
    sizes = [float(value.detach().square().mean().sqrt()) for value in taken.values()]
    assert max(sizes) < 1000 * min(sizes)


def test_a_picture_is_of_imagenets_size_and_has_low_notes_below() -> None:
    clip = torch.stack([scaled(tone(pitch))[0] for pitch in (200, 4000)])
    picture = hearing("vgg19", clip, CONFIG)(clip)
    assert picture.shape == (2, 3, 224, 224)
    rows = picture[:, 0].mean(2).argmax(1)
    assert rows[0] > 190 and rows[1] < 110
    # As torchvision's transform: what is black has these values in the three channels.
    silent = hearing("vgg19", clip, CONFIG)(torch.zeros_like(clip))[0].amax((1, 2))
    expected = torch.tensor([-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225])
    torch.testing.assert_close(silent, expected, rtol=1e-4, atol=1e-4)


def test_soundnet_hears_the_waveform_itself() -> None:
    sound = tone(500, harmonics=3, seconds=1)
    x = scaled(sound)
    waveform = hearing("soundnet", x, CONFIG)(x)
    assert waveform.shape[:2] == (1, 1) and waveform.shape[3] == 1
    heard = waveform[0, 0, :, 0]
    assert 0.5 * 25.6 < float(heard.square().mean().sqrt()) < 1.5 * 25.6
    spectrum = torch.fft.rfft(heard).abs()
    peak = float(spectrum.argmax()) * RATE / len(heard)
    assert abs(peak - 500) < 2
    # Magnitude is kept by the phase that was retrieved.
    again = magnitude(heard / 256, CONFIG)
    frames = again.shape[1]
    ratio = (again - x[0, :, :frames]).norm() / x.norm()
    assert ratio < 0.15


def test_resampling_keeps_a_tone() -> None:
    sound = torch.from_numpy(tone(1000, seconds=1))[None]
    there = resampled(sound, RATE, 16000)
    assert there.shape == (1, 16000)
    expected = torch.from_numpy(tone(1000, seconds=1, rate=16000))
    torch.testing.assert_close(there[0, 100:-100], expected[100:-100], rtol=0, atol=5e-3)
    assert resampled(sound, RATE, RATE) is sound


def test_log_mel_is_vggishs() -> None:
    """96 frames of 0.96 s; a tone is loudest in the band around it; silence is log 0.01."""
    frames = log_mel(torch.from_numpy(tone(1000, seconds=0.975, rate=16000))[None])
    assert frames.shape == (1, 1, 96, 64)
    low, high = 1127 * np.log1p(125 / 700), 1127 * np.log1p(7500 / 700)
    centers = 700 * np.expm1(np.linspace(low, high, 66)[1:-1] / 1127)
    assert abs(centers[int(frames.mean((0, 1, 2)).argmax())] - 1000) < 60
    silent = log_mel(torch.zeros(1, 16000))
    torch.testing.assert_close(silent, torch.full_like(silent, np.log(0.01)), atol=1e-3, rtol=0)


def test_vgg_and_alexnet_are_torchvisions() -> None:
    try:
        from torchvision import models
        from torchvision.models.vgg import make_layers
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"torchvision: {error}")
    with torch.device("meta"):
        for name, theirs in (("vgg19", models.vgg19()), ("alexnet", models.alexnet())):
            stack = build(name)
            shapes = {key: tuple(value.shape) for key, value in theirs.state_dict().items()}
            own = {**stack.shapes(), **stack.head}
            assert own == shapes
    torch.manual_seed(0)
    widths = [4, 4, "M", 8, 8, "M", *[16] * 4, "M", *[32] * 4, "M", *[32] * 4, "M"]
    x = torch.randn(2, 3, 64, 80)
    for name, theirs in (
        ("vgg19", make_layers(widths)),
        ("alexnet", models.alexnet(num_classes=3).eval().features),
    ):
        stack = build(name, 1 / 16 if name == "vgg19" else 1)
        assert {k.removeprefix("features."): v.shape for k, v in stack.state_dict().items()} == {
            k: v.shape for k, v in theirs.state_dict().items()
        }
        stack.load_state_dict({f"features.{k}": v for k, v in theirs.state_dict().items()})
        last = CATALOG[name].layers[-1]
        (found,) = stack.activations(x, (last,)).values()
        torch.testing.assert_close(found, theirs[:-1](x))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of AlexNet's convolutions, of small random weights."""
    stack = build("alexnet")
    randomize(stack, 7)
    path = tmp_path_factory.mktemp("weights") / "alexnet.safetensors"
    safetensors.torch.save_file(stack.state_dict(), path, {"license": "CC0-1.0"})
    return path


def options(weights: Path | str, *more: str) -> list[str]:
    return [
        *("--method", "pretrained", "--network", "alexnet", "--weights", str(weights)),
        *("--iterations", "2", *more),
    ]


def test_a_set_says_what_it_was_computed_with(
    weights: Path, pairs: Path, classifier: Path, tmp_path: Path
) -> None:
    given = ["--pairs", str(pairs), "--classifier", str(classifier)]
    layers = ("--style-layers", "[conv1, conv2]", "--content-layers", "[conv3]")
    done = CliRunner().invoke(
        stage, [*given, *options(weights, *layers), "--out", str(tmp_path / "a")]
    )
    assert done.exit_code == 0, done.output
    digest = artifacts.file_digest(weights)
    made = stylized_set.read(tmp_path / "a")
    assert made.artifact.config["network"] == {
        "name": "alexnet",
        "content_layers": ["conv3"],
        "style_layers": ["conv1", "conv2"],
        "weights": {"name": "alexnet.safetensors", "sha256": digest, "license": "CC0-1.0"},
    }
    for item in made.items:
        assert item.settings["weights"] == "alexnet.safetensors"
        assert item.settings["weights_sha256"] == digest
        assert item.settings["style_layers"] == ["conv1", "conv2"]
        assert item.losses["total"][-1] < item.losses["total"][0]


def test_the_same_file_elsewhere_is_the_same_and_another_is_not(
    weights: Path, tmp_path: Path
) -> None:
    def decisive(path: Path | str) -> str:
        config = StylizeConfig(method="pretrained", network="alexnet", weights=str(path))
        return artifacts.digest_of(StylizeConfig.decisive(pinned(config).plain()))

    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(weights.read_bytes())
    assert decisive(copy) == decisive(weights) == decisive(weights.as_uri())
    copy.write_bytes(weights.read_bytes()[:-4] + struct.pack("<f", 0.5))
    assert decisive(copy) != decisive(weights)


def _without(named: dict[str, Tensor]) -> None:
    del named["features.3.bias"]


def _with_more(named: dict[str, Tensor]) -> None:
    named["features.13.weight"] = torch.zeros(1)


def _of_other_shape(named: dict[str, Tensor]) -> None:
    named["features.3.weight"] = torch.zeros(192, 64, 3, 3)


def _of_integers(named: dict[str, Tensor]) -> None:
    named["features.0.bias"] = torch.zeros(64, dtype=torch.int32)


def _not_finite(named: dict[str, Tensor]) -> None:
    named["features.0.bias"] = torch.full((64,), float("inf"))


def _with_half_a_head(named: dict[str, Tensor]) -> None:
    named["classifier.6.bias"] = torch.zeros(1000)


@pytest.mark.parametrize(
    "change, words",
    [
        (_without, "lacks features.3.bias, which alexnet has"),
        (_with_more, "has features.13.weight, which alexnet has not"),
        (_of_other_shape, "features.3.weight has the shape [192, 64, 3, 3]; alexnet has"),
        (_of_integers, "features.0.bias is of the type I32"),
        (_not_finite, "features.0.bias has values that are not finite"),
        (_with_half_a_head, "lacks classifier.1.weight, which alexnet has"),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    change: Callable[[dict[str, Tensor]], None],
    words: str,
    weights: Path,
    pairs: Path,
    classifier: Path,
    tmp_path: Path,
) -> None:
    named = safetensors.torch.load_file(weights)
    change(named)
    path = tmp_path / "w.safetensors"
    safetensors.torch.save_file(named, path)
    _require_refusal(options(path), f"weights: {path}: {words}", pairs, classifier, tmp_path)


def _require_refusal(
    given: list[str], words: str, pairs: Path, classifier: Path, folder: Path
) -> None:
    """By the stage, before it writes anything."""
    out = folder / "refused"
    line = ["--pairs", str(pairs), "--classifier", str(classifier), "--out", str(out), *given]
    done = CliRunner().invoke(stage, line)
    assert done.exit_code == 2, done.output
    assert words in done.output
    assert len(done.output.strip().splitlines()) == 1
    assert not out.exists() and not list(folder.glob(".refused*"))


def test_files_that_are_no_weights_are_refused(
    weights: Path, pairs: Path, classifier: Path, tmp_path: Path
) -> None:
    pickled, huge, text = (tmp_path / name for name in ("a.pth", "huge.st", "text.safetensors"))
    torch.save({"features.0.weight": torch.zeros(1)}, pickled)
    huge.write_bytes(struct.pack("<Q", 1 << 40) + b"{}")
    text.write_text("weights")
    disguised = tmp_path / "disguised.safetensors"
    disguised.write_bytes(pickled.read_bytes())
    digest = "0" * 64
    for given, words in (
        (options(tmp_path / "none.st"), "none.st: does not exist"),
        (options(tmp_path), "is not a file"),
        (options((tmp_path / "none.st").as_uri()), "none.st: does not exist"),
        (options("https://host/a.safetensors"), "a path, file:// or s3://bucket/key is needed"),
        (options(pickled), f"audiostyle networks convert {pickled}"),
        (options(disguised), "is a file of PyTorch, which is not loaded"),
        (options(huge), f"has a header of {1 << 40} bytes"),
        (options(text), "is not safetensors"),
        (options(weights, "--weights-sha256", digest), f"expected SHA-256 {digest}, got "),
        (options(weights, "--weights-sha256", "xyz"), "weights_sha256: "),
        (options("random", "--weights-sha256", digest), "random weights have none"),
        (options("s3://bucket/a.safetensors"), "give its hash with --weights-sha256"),
        (options(weights, "--style-layers", "[conv6]"), "style_layers: must be of conv1, conv2"),
        (["--method", "pretrained"], "network: method pretrained needs one of vgg19"),
        (["--method", "pretrained", "--network", "vgg19"], "weights: method pretrained needs"),
        (
            ["--method", "trained", "--content-layers", "[conv5]"],
            "content_layers: must be of conv1",
        ),
        (["--weights", str(weights)], "are of one of vgg19"),
    ):
        _require_refusal(given, words, pairs, classifier, tmp_path)


def test_one_pair_refuses_before_it_looks_for_a_model(weights: Path, tmp_path: Path) -> None:
    import soundfile

    for name, sound in (("a", tone(seconds=1)), ("b", noise(seconds=1))):
        soundfile.write(tmp_path / f"{name}.wav", sound, RATE)
    files = [str(tmp_path / name) for name in ("a.wav", "b.wav")]
    line = ["stylize", *files, "-o", str(tmp_path / "out.wav"), *options(tmp_path / "none")]
    done = CliRunner().invoke(main, line)
    assert (done.exit_code, "none: does not exist" in done.output) == (2, True)
    assert not (tmp_path / "out.wav").exists()


def test_a_cluster_has_to_know_the_hash() -> None:
    config = StylizeConfig(method="pretrained", network="alexnet", weights="/volume/a.safetensors")
    with pytest.raises(InputError, match="weights_sha256"):
        require_hash(config)
    require_hash(config.model_copy(update={"weights_sha256": "0" * 64}))
    require_hash(config.model_copy(update={"weights": "random"}))


@pytest.fixture(scope="module")
def state_dict(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SoundNet's weights as torch.save writes them."""
    stack: Stack = build("soundnet")
    randomize(stack, 1)
    path = tmp_path_factory.mktemp("state") / "soundnet.pth"
    torch.save(stack.state_dict(), path)
    return path


def test_convert(state_dict: Path, tmp_path: Path) -> None:
    out = tmp_path / "soundnet.safetensors"
    line = ["networks", "convert", str(state_dict), str(out), "--license", "MIT", "--json"]
    done = CliRunner().invoke(main, [*line, "--network", "soundnet"])
    assert done.exit_code == 0, done.output
    facts = json.loads(done.output)
    assert facts["sha256"] == artifacts.file_digest(out)
    assert facts["source_sha256"] == artifacts.file_digest(state_dict)
    named = safetensors.torch.load_file(out)
    for name, value in torch.load(state_dict, weights_only=True).items():
        assert torch.equal(named[name], value)
    config = StylizeConfig(method="pretrained", network="soundnet", weights=str(out))
    assert pinned(config).weights_sha256 == facts["sha256"]


def test_convert_refuses_by_name_and_leaves_nothing(state_dict: Path, tmp_path: Path) -> None:
    digest = artifacts.file_digest(state_dict)
    # Digits may be a date, but not those of a published file.
    names = ("0123456a", "10086976", digest[:8], "20261126")
    bad, other, good, dated = (tmp_path / f"w-{name}.pth" for name in names)
    for path in (bad, other, good, dated):
        path.write_bytes(state_dict.read_bytes())
    there = tmp_path / "there.safetensors"
    there.write_text("mine")
    out = tmp_path / "out.safetensors"
    for line, words in (
        ([bad, out], "its name says that its SHA-256 begins with 0123456a"),
        ([other, out], "its name says that its SHA-256 begins with 10086976"),
        ([good, out, "--sha256", "f" * 64], f"expected SHA-256 {'f' * 64}, got {digest}"),
        ([good, out, "--network", "vggish"], f"{good}: lacks features.0.weight, which vggish has"),
        ([good, there], "is there already, and is not replaced"),
        ([good, tmp_path / "out.pth"], "must end with .safetensors"),
        ([good, tmp_path / "no" / "out.safetensors"], "is not a folder"),
        ([tmp_path / "none.pth", out], "none.pth: does not exist"),
        ([there, out], "is no file of torch.save"),
    ):
        done = CliRunner().invoke(main, ["networks", "convert", *map(str, line)])
        assert done.exit_code == 2, done.output
        assert words in done.output
        assert len(done.output.strip().splitlines()) == 1
    assert {*tmp_path.iterdir()} == {bad, other, good, dated, there}
    assert there.read_text() == "mine"
    for path in (good, dated):
        out = path.with_suffix(".safetensors")
        done = CliRunner().invoke(main, ["networks", "convert", str(path), str(out)])
        assert done.exit_code == 0, done.output


def test_networks_are_listed() -> None:
    done = CliRunner().invoke(main, ["networks", "list", "--json"])
    assert [row["name"] for row in json.loads(done.output)] == list(CATALOG)
    done = CliRunner().invoke(main, ["networks", "list"])
    assert all(name in done.output for name in CATALOG)
