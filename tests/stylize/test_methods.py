"""Every method moves towards the style, keeps what it must, and treats a batch item by item."""

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import noise, tone

from audiostyle import network
from audiostyle.errors import InputError
from audiostyle.network import Classifier, NetworkConfig
from audiostyle.spectrogram import magnitude
from components.stylize import methods
from components.stylize.config import StylizeConfig
from components.stylize.methods.parts.equalizer import equalize
from components.stylize.methods.parts.method import Contents, Method, Problem, gram
from components.stylize.methods.shallow import Shallow
from components.stylize.registry import make
from components.stylize.transfer import Transferred, style_of, transfer, transfer_pair

# Fewer filters and steps than the methods' own, so that a test takes a second.
SMALL: dict[str, dict[str, object]] = {
    "default": {"iterations": 20},
    "notes": {"iterations": 20},
    "trained": {"iterations": 60},
    "shallow": {"iterations": 30, "filters": 64},
    "base": {"iterations": 30, "optimizer": "lbfgs"},
    "verma-smith": {"iterations": 40},
    "pretrained": {"iterations": 8, "network": "alexnet", "weights": "random"},
}


def settings(method: str, **changes: object) -> StylizeConfig:
    return StylizeConfig.parse({"method": method, **SMALL[method], **changes}, "test")


@pytest.fixture(scope="module")
def model(classifier: Path) -> Classifier:
    return network.load(classifier)


@pytest.fixture(scope="module")
def alexnet(model: Classifier) -> Classifier:
    """A small one, of random weights."""
    torch.manual_seed(0)
    network = NetworkConfig(architecture="alexnet", channels=(4, 6, 8, 6, 6), bands=32)
    return Classifier(network, model.spectrogram, model.class_names).eval()


@pytest.fixture
def suited(method: str, model: Classifier, alexnet: Classifier) -> Classifier:
    """A classifier that the method can work with."""
    return alexnet if method == "verma-smith" else model


def spectrum(model: Classifier, samples: np.ndarray) -> torch.Tensor:
    return magnitude(torch.from_numpy(samples), model.spectrogram)


def test_equalizer_moves_the_mean_spectrum_and_no_note(model: Classifier) -> None:
    low, high = tone(330, harmonics=3), tone(330, harmonics=20)
    content, style = spectrum(model, low), spectrum(model, high)

    def equalized(by: torch.Tensor) -> torch.Tensor:
        own, other = (x.square().mean(1)[None] for x in (content, by))
        return equalize(content[None], own, other, model.spectrogram)[0]

    moved = equalized(style * 100)
    assert moved.shape == content.shape
    # In every frame each partial stays the loudest bin of its surroundings.
    assert int(moved.mean(1).argmax()) == int(content.mean(1).argmax())
    centroid = [
        float((x.mean(1) * torch.arange(len(x))).sum() / x.sum(0).mean())
        for x in (content, moved, style)
    ]
    assert centroid[0] < centroid[1] <= centroid[2] * 1.05
    # Its own spectrum changes nothing, at whatever level.
    torch.testing.assert_close(equalized(content * 7), content, rtol=1e-4, atol=1e-4)
    assert (moved / content.clamp_min(1e-9)).max() < 10 ** (45 / 20)


@pytest.mark.parametrize("init", ["method", "content", "noise"])
@pytest.mark.parametrize("method", methods.names())
def test_losses_fall(suited: Classifier, method: str, init: str) -> None:
    model = suited
    content = spectrum(model, tone(440, harmonics=8, seconds=1.5))
    style = spectrum(model, noise(seconds=1))
    done = transfer_pair(model, content, style, settings(method, init=init))
    assert done.magnitude.shape == content.shape
    assert (done.magnitude >= 0).all()
    assert done.magnitude.isfinite().all()
    assert done.error == ""
    if done.losses:  # a method may have nothing to optimize
        assert min(done.losses["total"]) < 0.999 * done.losses["total"][0]


@pytest.mark.parametrize("method", ["trained", "shallow", "base"])
def test_style_weight_pulls_to_the_style(model: Classifier, method: str) -> None:
    content = spectrum(model, tone(440, harmonics=8, seconds=1.5))
    style = spectrum(model, noise(seconds=1))
    low, high = (
        transfer_pair(
            model, content, style, settings(method, style_weight=w, init="content")
        ).losses
        for w in (1e-4, 100.0)
    )
    assert high["style"][-1] < low["style"][-1]
    assert high["content"][-1] > low["content"][-1]


def test_content_as_its_own_style_stays(model: Classifier) -> None:
    content = spectrum(model, tone(440, harmonics=8, decay=1))
    done = transfer_pair(model, content, content, settings("default"))
    assert (done.magnitude - content).norm() / content.norm() < 0.1


@pytest.mark.parametrize("method", methods.names())
def test_loudness_changes_nothing_but_loudness(suited: Classifier, method: str) -> None:
    model = suited
    content = spectrum(model, tone(440, harmonics=8, seconds=1))
    style = spectrum(model, noise(seconds=1))
    # Small steps: Adam's first go by the sign of each gradient, and rounding turns some signs.
    few = settings(method, iterations=3, learning_rate=0.01)
    a = transfer_pair(model, content, style, few).magnitude
    b = transfer_pair(model, content * 0.01, style * 30, few).magnitude
    assert (100 * b - a).norm() / a.norm() < 0.06


def test_same_seed_same_result(model: Classifier) -> None:
    content, style = spectrum(model, tone(seconds=1)), spectrum(model, noise(seconds=1))
    for method in ("trained", "shallow"):
        few = settings(method, iterations=3, init="noise")
        a, b = (transfer_pair(model, content, style, few).magnitude for _ in range(2))
        assert torch.equal(a, b)
        other = few.model_copy(update={"seed": 1})
        assert not torch.equal(a, transfer_pair(model, content, style, other).magnitude)


def contents_of(model: Classifier) -> tuple[Contents, torch.Tensor]:
    pitches = (220, 330, 440)
    magnitudes = [spectrum(model, tone(p, harmonics=6, seconds=1, level=p / 900)) for p in pitches]
    batch = torch.stack(magnitudes)
    return Contents(batch, batch.square().mean(2)), spectrum(model, noise(seconds=1))


@pytest.mark.parametrize("method", methods.names())
def test_a_batch_is_its_items(suited: Classifier, method: str) -> None:
    model = suited
    contents, style = contents_of(model)
    chosen = settings(method, iterations=3)
    made = make(chosen, model)
    statistics = style_of(made, style)
    names = ["a", "b", "c"]
    together = transfer(made, contents, [statistics] * 3, chosen, names=names)
    for item, name in enumerate(names):
        part = contents.some(slice(item, item + 1))
        (alone,) = transfer(made, part, [statistics], chosen, names=[name])
        difference = (together[item].magnitude - alone.magnitude).norm() / alone.magnitude.norm()
        # A rounding where a gradient is nearly zero turns a step of Adam around.
        assert difference < 0.03


def test_a_batch_that_does_not_fit_is_halved(
    model: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents, style = contents_of(model)
    chosen = settings("default", iterations=2)
    method = make(chosen, model)
    statistics = style_of(method, style)
    expected = transfer(method, contents, [statistics] * 3, chosen, names=["a", "b", "c"])
    sizes = []
    whole = type(method).prepare

    def small(self: Method, some: Contents, styles: list[dict[str, torch.Tensor]]) -> Problem:
        sizes.append(len(styles))
        if len(styles) > 1:
            raise torch.cuda.OutOfMemoryError("it does not fit")
        return whole(self, some, styles)

    monkeypatch.setattr(type(method), "prepare", small)
    found = transfer(method, contents, [statistics] * 3, chosen, names=["a", "b", "c"])
    assert sizes == [3, 1, 2, 1, 1]
    for a, b in zip(expected, found, strict=True):
        assert (a.magnitude - b.magnitude).norm() / a.magnitude.norm() < 0.03


def test_a_loss_that_is_not_finite_is_named(model: Classifier) -> None:
    content, style = spectrum(model, tone(seconds=1)), spectrum(model, noise(seconds=1))
    config = settings("trained", iterations=10, learning_rate=1e4)
    done = transfer_pair(model, content, style, config, "pair-7")
    assert isinstance(done, Transferred)
    assert done.error.startswith("pair-7: the loss is not finite at step")
    # The last good state is what it had: here the content.
    torch.testing.assert_close(done.magnitude, content, rtol=1e-2, atol=1e-2)


def test_shallow_is_the_published_loss(model: Classifier) -> None:
    contents, style = contents_of(model)
    method = Shallow(settings("shallow"), model)
    statistics = method.style(style)
    terms = method.prepare(contents, [statistics] * 3).terms
    assert terms is not None
    x = (method.encode(contents.magnitude) * 0.5).requires_grad_()
    (layer,) = method.layers(x)
    (kept,) = method.layers(method.encode(contents.magnitude))
    expected = {
        "content": (layer - kept).square().sum((1, 2)),
        "style": (gram(layer) - statistics["0"]).square().sum((1, 2)),
    }
    for name, value in terms(x).items():
        torch.testing.assert_close(value, expected[name], rtol=1e-4, atol=1e-3)
        (found,) = torch.autograd.grad(value.sum(), x, retain_graph=True)
        (true,) = torch.autograd.grad(expected[name].sum(), x, retain_graph=True)
        torch.testing.assert_close(found, true, rtol=1e-3, atol=1e-3 * float(true.abs().max()))


def test_verma_and_smith_keep_the_contents_energy_and_take_the_styles_bands(
    model: Classifier, alexnet: Classifier
) -> None:
    content = spectrum(model, tone(440, harmonics=8, seconds=1.5, decay=2))
    style = spectrum(model, tone(1760, harmonics=3, seconds=1) + noise(seconds=1, level=0.01))
    done = transfer_pair(alexnet, content, style, settings("verma-smith", iterations=150))
    assert set(done.losses) == {"total", "content", "style", "energy", "style frequency"}
    for term in ("energy", "style frequency"):
        assert done.losses[term][-1] < 0.3 * done.losses[term][0]
    with pytest.raises(InputError, match=r"network\.architecture: alexnet"):
        make(settings("verma-smith"), model)
    with pytest.raises(
        InputError, match="style_layers: must be of conv1, conv2, conv3, conv4, con"
    ):
        settings("verma-smith", style_layers=["conv6"])


def test_gram_is_the_mean_outer_product() -> None:
    x = torch.randn(2, 3, 5, 7)
    expected = sum(
        x[:, :, b, t, None] * x[:, None, :, b, t] for b in range(5) for t in range(7)
    ) / torch.tensor(35.0)
    torch.testing.assert_close(gram(x), expected)
    torch.testing.assert_close(gram(torch.cat([x, x], 3)), gram(x))
