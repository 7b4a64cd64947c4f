"""The networks beside other definitions of them, with the names that their files have there.

No port's code is here: the layers are computed by formulas of the papers, and the names are those
of ports that people use. Where torchvggish is installed, it is run as well.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from click.testing import CliRunner
from torch import Tensor
from torch.nn import functional

from audiostyle.errors import InputError
from components.stylize.config import StylizeConfig
from components.stylize.networks.catalog import CATALOG
from components.stylize.networks.hearing import log_mel
from components.stylize.networks.stacks import Stack, build
from components.stylize.networks.weights import load, match
from pipeline.cli import main

Named = dict[str, Tensor]

# The paper's table: filters, size and padding of the kernel, pool. Every stride is 2.
SOUNDNET = (
    (16, 64, 32, 8),
    (32, 32, 16, 8),
    (64, 16, 8, 0),
    (128, 8, 4, 0),
    (256, 4, 2, 4),
    (512, 4, 2, 0),
    (1024, 4, 2, 0),
)
VGGISH = (("features", (0, 3, 6, 8, 11, 13)), (64, 128, 256, 256, 512, 512))


def drawn(shapes: dict[str, tuple[int, ...]], seed: int = 0) -> Named:
    """Weights of no pattern, and variances above 0."""
    random = torch.Generator().manual_seed(seed)
    named = {}
    for name, shape in shapes.items():
        value = torch.randn(shape, generator=random)
        if len(shape) > 1:
            value *= (2 / value[0].numel()) ** 0.5
        named[name] = value.abs() + 0.5 if name.endswith("running_var") else value
    return named


def soundnet_of_a_port() -> Named:
    """Convolution and normalization of each block as the numbers 0 and 1 of `convN`."""
    shapes: dict[str, tuple[int, ...]] = {}
    before = 1
    for number, (after, kernel, _, _) in enumerate(SOUNDNET, 1):
        shapes[f"conv{number}.0.weight"] = (after, before, kernel, 1)
        shapes[f"conv{number}.0.bias"] = (after,)
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"conv{number}.1.{part}"] = (after,)
        before = after
    named = drawn(shapes)
    # As converted from TensorFlow: a number in place of a count, and axes in another order.
    named["conv1.1.num_batches_tracked"] = torch.tensor(100.0)
    whole = named["conv3.0.weight"]
    named["conv3.0.weight"] = whole.permute(2, 3, 1, 0).contiguous().permute(3, 2, 0, 1)
    for name, classes in (("conv8", 1000), ("conv8_2", 401)):
        named[f"{name}.0.weight"] = torch.zeros(classes, 1024, 8, 1)
        named[f"{name}.0.bias"] = torch.zeros(classes)
    return named


def of_file(network: str, named: Named, folder: Path) -> Stack:
    """A network with the weights of a file of PyTorch, converted by the command."""
    source, target = folder / "port.pth", folder / "port.safetensors"
    torch.save(named, source)
    line = ["networks", "convert", str(source), str(target), "--network", network]
    done = CliRunner().invoke(main, line)
    assert done.exit_code == 0, done.output
    stack = build(network)
    load(stack, StylizeConfig(method="pretrained", network=network, weights=str(target)))
    return stack


def test_soundnet_is_that_of_its_paper(tmp_path: Path) -> None:
    named = soundnet_of_a_port()
    stack = of_file("soundnet", named, tmp_path)
    x = torch.randn(2, 1, 30_001, 1, generator=torch.Generator().manual_seed(1)) * 25
    taken = stack.activations(x, CATALOG["soundnet"].layers)
    for number, (_, _, padding, pool) in enumerate(SOUNDNET, 1):
        block = {k.removeprefix(f"conv{number}."): v for k, v in named.items()}
        x = functional.conv2d(x, block["0.weight"], block["0.bias"], (2, 1), (padding, 0))
        mean, variance = (block[f"1.running_{part}"][:, None, None] for part in ("mean", "var"))
        scale, shift = (block[f"1.{part}"][:, None, None] for part in ("weight", "bias"))
        x = ((x - mean) / (variance + 1e-5).sqrt() * scale + shift).clamp_min(0)
        torch.testing.assert_close(taken[f"conv{number}"], x, rtol=1e-3, atol=1e-3)
        if pool:  # the longest of each eight or four, without what is left over
            x = x[:, :, : x.shape[2] // pool * pool].unfold(2, pool, pool).amax(-1)
    assert x.shape == (2, 1024, 2, 1)


def vggish_named(part: str) -> Named:
    shapes: dict[str, tuple[int, ...]] = {}
    before = 1
    (_, numbers), widths = VGGISH
    for number, after in zip(numbers, widths, strict=True):
        shapes[f"{part}{number}.weight"] = (after, before, 3, 3)
        shapes[f"{part}{number}.bias"] = (after,)
        before = after
    return drawn(shapes)


def test_vggish_is_that_of_its_paper(tmp_path: Path) -> None:
    """Its convolutions of 3 x 3, with a pool behind the first, second, fourth and last."""
    named = vggish_named("module.features.")
    stack = of_file("vggish", named, tmp_path)
    x = torch.randn(2, 1, 96, 64, generator=torch.Generator().manual_seed(1))
    names = CATALOG["vggish"].layers
    taken = stack.activations(x, names)
    for at, (name, number) in enumerate(zip(names, VGGISH[0][1], strict=True)):
        weight, bias = (named[f"module.features.{number}.{p}"] for p in ("weight", "bias"))
        columns = functional.unfold(x, 3, padding=1)  # every cell with its eight neighbors
        x = (weight.flatten(1) @ columns + bias[:, None]).view(2, -1, *x.shape[2:]).clamp_min(0)
        torch.testing.assert_close(taken[name], x, rtol=1e-4, atol=1e-4)
        if at in (0, 1, 3):
            x = functional.max_pool2d(x, 2)
    assert x.shape == (2, 512, 12, 8)


def test_log_mel_is_that_of_vggish() -> None:
    """Frame by frame and band by band, in double precision."""
    sound = np.random.default_rng(0).standard_normal(16_000) * 0.1
    frames = log_mel(torch.from_numpy(sound).float()[None])[0, 0].numpy()
    assert len(frames) == 1 + (16_000 - 400) // 160

    def mel(frequency: float) -> float:
        return float(1127 * np.log(1 + frequency / 700))

    edges = np.linspace(mel(125), mel(7500), 66)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    for number in (0, 50, 97):
        cut = sound[160 * number :][:400]
        size = np.abs(np.fft.rfft(cut * window, 512))
        for band in range(64):
            low, center, high = edges[band : band + 3]
            at = [mel(16_000 * bin_ / 512) for bin_ in range(257)]
            share = [
                max(0, min((m - low) / (center - low), (high - m) / (high - center))) for m in at
            ]
            expected = np.log(0.01 + np.dot(size, share))
            assert abs(frames[number, band] - expected) < 1e-4


def test_vggish_is_torchvggishs() -> None:
    """Where that package is installed: with its own inputs, layer by layer."""
    port = pytest.importorskip("torchvggish")
    theirs = port.VGG(port.make_layers(), postprocess=False).eval()
    named = drawn({name: tuple(value.shape) for name, value in theirs.state_dict().items()})
    theirs.load_state_dict(named)
    stack = build("vggish")
    assert {**stack.shapes(), **stack.head} == {k: tuple(v.shape) for k, v in named.items()}
    stack.load_state_dict({name: named[name] for name in stack.shapes()})
    sound = np.random.default_rng(0).standard_normal(16_000) * 0.1
    x = torch.as_tensor(port.waveform_to_examples(sound, 16_000)).float().reshape(1, 1, 96, 64)
    heard = log_mel(torch.from_numpy(sound).float()[None])[:, :, :96]
    torch.testing.assert_close(heard, x.detach(), rtol=0, atol=1e-4)
    taken = iter(stack.activations(heard, CATALOG["vggish"].layers).values())
    for module in theirs.features:
        x = module(x)
        if isinstance(module, torch.nn.ReLU):
            torch.testing.assert_close(next(taken), x.clone(), rtol=1e-4, atol=1e-4)


def of_network(network: str) -> Named:
    """A file of the network's convolutions as they were published; the numbers do not matter."""
    return {name: torch.zeros(shape) for name, shape in build(network).shapes().items()}


def renamed(named: Named, change: Callable[[str], str]) -> Named:
    return {change(name): value for name, value in named.items()}


@pytest.mark.parametrize(
    "network, change",
    [
        ("alexnet", lambda name: f"module.{name}"),
        ("alexnet", lambda name: f"_orig_mod.module.{name}"),
        ("alexnet", lambda name: name.removeprefix("features.")),
        ("vggish", lambda name: name.replace("features.", "features_network.")),
        ("soundnet", lambda name: f"audio.{name}"),
    ],
)
def test_names_of_ports_fit(network: str, change: Callable[[str], str], tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    safetensors.torch.save_file(renamed(of_network(network), change), path)
    match(network, path)
    named = renamed(of_network(network), change)
    last = list(named)[-1]
    del named[last]
    safetensors.torch.save_file(named, path)
    with pytest.raises(InputError, match=f"lacks .*, which {network} has"):
        match(network, path)


def test_soundnet_in_a_row_as_luas_torch_counts_fits(tmp_path: Path) -> None:
    places = {f"conv{n}": at for n, at in enumerate((0, 4, 8, 11, 14, 18, 21), 1)}

    def counted(name: str) -> str:
        part, _, rest = name.partition(".")
        normal = part.startswith("batchnorm")
        return f"{places[part.replace('batchnorm', 'conv')] + normal}.{rest}"

    path = tmp_path / "w.safetensors"
    safetensors.torch.save_file(renamed(of_network("soundnet"), counted), path)
    match("soundnet", path)


def _with(network: str, more: str) -> Callable[[], Named]:
    return lambda: of_network(network) | {more: torch.zeros(1)}


@pytest.mark.parametrize(
    "network, named, words",
    [
        ("vggish", _with("vggish", "pproc.pca_means"), "lacks pproc.pca_eigen_vectors"),
        ("alexnet", _with("alexnet", "0.bias"), "are both features.0.bias"),
        ("vgg19", lambda: {"features.1.running_mean": torch.zeros(1)}, "batch normalization"),
        ("vgg19", lambda: {"classifier.4.weight": torch.zeros(1)}, "was trained by Caffe"),
        ("vgg19", lambda: {"conv1_1.weight": torch.zeros(1)}, "was trained by Caffe"),
        ("vgg19", lambda: {"module.x": torch.zeros(1)}, "lacks features.0.weight"),
    ],
)
def test_files_of_other_networks_are_refused(
    network: str, named: Callable[[], Named], words: str, tmp_path: Path
) -> None:
    path = tmp_path / "w.safetensors"
    safetensors.torch.save_file(named(), path)
    with pytest.raises(InputError, match=words) as caught:
        match(network, path)
    assert str(caught.value).startswith(f"weights: {path}: ")


def test_a_file_may_have_what_stands_behind_the_convolutions(tmp_path: Path) -> None:
    more = {
        "pproc.pca_eigen_vectors": torch.zeros(128, 128),
        "pproc.pca_means": torch.zeros(128, 1),
    }
    path = tmp_path / "w.safetensors"
    safetensors.torch.save_file(of_network("vggish") | more, path)
    match("vggish", path)
