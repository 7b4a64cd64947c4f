"""The library: `import audiostyle` and its functions on arrays and paths."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from conftest import RATE, ROOT, noise, tone
from seaweedfs import BUCKET, SeaweedFS, seaweedfs, seaweedfs_server  # noqa: F401, fixtures

import audiostyle
from audiostyle.store import open_store
from components.reconstruct.config import ReconstructConfig
from components.reconstruct.reconstruct import reconstruct
from components.stylize.config import StylizeConfig
from components.stylize.pairs import Pair
from components.stylize.stylize import stylize
from pipeline.one_pair import Request, stylize_pair

LONG = 14  # s: two windows


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recordings")
    left = np.concatenate([tone(220 * 2 ** (k / 12), seconds=1, decay=2) for k in range(LONG)])
    soundfile.write(folder / "long.flac", left, RATE)
    offset = np.stack([tone(seconds=1.5, rate=44100), tone(330, seconds=1.5, rate=44100) + 0.3], 1)
    soundfile.write(folder / "stereo.wav", offset, 44100, subtype="FLOAT")
    soundfile.write(folder / "style.wav", noise(seconds=1), RATE, subtype="FLOAT")
    (folder / "text.wav").write_text("no audio")
    return folder


def test_importing_it_imports_nothing_else() -> None:
    program = """
import sys
import audiostyle
assert {"transfer", "read", "registry", "Classifier"} <= set(dir(audiostyle))
assert audiostyle.InputError
print(sorted({"click", "mlflow", "numpy", "pydantic", "torch"} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_every_name_is_there_and_documented() -> None:
    for name in audiostyle.__all__:
        assert getattr(audiostyle, name).__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'spectogram'"):
        _ = audiostyle.spectogram


@pytest.mark.parametrize("content, method", [("stereo.wav", "default"), ("long.flac", "trained")])
def test_arrays_paths_the_command_and_the_stages_give_the_same_samples(
    content: str,
    method: str,
    recordings: Path,
    classifier: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings: dict[str, Any] = {"method": method, "strength": 0.8}
    if method == "trained":
        settings |= {"iterations": 2, "init": "noise"}
    source, style = recordings / content, recordings / "style.wav"
    options: dict[str, Any] = {"model": classifier, "phase_iterations": 4, **settings}
    shares: list[float] = []
    capsys.readouterr()
    samples, rate = audiostyle.transfer(source, str(style), progress=shares.append, **options)
    of_arrays, _ = audiostyle.transfer(audiostyle.read(source), audiostyle.read(style), **options)
    assert np.array_equal(samples, of_arrays)
    assert capsys.readouterr() == ("", "")  # no bar in a program's output
    assert shares == sorted(shares) and shares[0] >= 0 and shares[-1] == 1
    assert samples.dtype == np.float32
    assert (samples.shape, rate) == (audiostyle.read(source)[0].shape, audiostyle.read(source)[1])

    stage = StylizeConfig.parse(settings, "test")
    phases = ReconstructConfig(iterations=4, subtype="FLOAT")
    out = tmp_path / "new" / "out.wav"
    request = Request.parse(str(source), [str(style)], str(out))
    errors = stylize_pair(request, lambda _: (classifier, "m"), stage, phases, tmp_path / "work")
    assert errors == []
    assert np.array_equal(audiostyle.read(out)[0], samples)
    assert {path.name for path in tmp_path.rglob("*")} == {"new", "out.wav"}

    stylize([Pair("result", source, style)], classifier, tmp_path / "set", stage, "m")
    reconstruct(tmp_path / "set", tmp_path / "audio", phases, report=False)
    assert np.array_equal(audiostyle.read(tmp_path / "audio" / "result.wav")[0], samples)


def test_several_styles_are_one(recordings: Path, classifier: Path, tmp_path: Path) -> None:
    content, style = recordings / "stereo.wav", recordings / "style.wav"
    styles = [style, (2 * tone(330, seconds=1), RATE)]
    options: dict[str, Any] = {"model": classifier, "phase_iterations": 2}
    both, _ = audiostyle.transfer(content, styles, **options)
    most, _ = audiostyle.transfer(content, styles, shares=[9, 1], **options)
    one, _ = audiostyle.transfer(content, [style], **options)
    assert np.array_equal(one, audiostyle.transfer(content, style, **options)[0])
    assert len({sound.tobytes() for sound in (both, most, one)}) == 3
    with pytest.raises(audiostyle.InputError, match="shares"):
        audiostyle.transfer(content, styles, shares=[1], **options)
    with pytest.raises(audiostyle.InputError, match="shares"):
        audiostyle.transfer(content, style, shares=[1], **options)


def test_objects_in_buckets_are_read_and_written(
    recordings: Path, classifier: Path, seaweedfs: SeaweedFS, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(f"s3://{BUCKET}/library")
    for name in ("stereo.wav", "style.wav", "text.wav"):
        store.put_file(f"in/{name}", recordings / name)
    soundfile.write(recordings / "silent.wav", np.zeros(RATE), RATE)
    store.put_file("silent.wav", recordings / "silent.wav")
    content, style = f"{store.uri}/in/stereo.wav", f"{store.uri}/in/style.wav"
    options: dict[str, Any] = {"model": classifier, "phase_iterations": 2}
    samples, rate = audiostyle.transfer(content, style, **options)
    paths = recordings / "stereo.wav", (recordings / "style.wav").as_uri()
    assert np.array_equal(samples, audiostyle.transfer(*paths, **options)[0])
    both, _ = audiostyle.transfer(content, [style, paths[1]], shares=[2, 1], **options)
    assert both.shape == samples.shape
    assert np.array_equal(audiostyle.read(content)[0], audiostyle.read(paths[0])[0])
    assert audiostyle.distance(content, paths[0]) == 0
    audiostyle.write(f"{store.uri}/out/é #1.wav", samples, rate, subtype="FLOAT")
    assert np.array_equal(audiostyle.read(f"{store.uri}/out/é #1.wav")[0], samples)
    # The errors are the command's, and name the object.
    text, silent, missing = (f"{store.uri}/{x}.wav" for x in ("in/text", "silent", "none"))
    for arguments, words in (
        ((text, style), f"{text}: cannot be decoded as audio"),
        ((content, silent), f"{silent}: is silent"),
        ((content, [style, silent]), f"{silent}: is silent"),
        ((missing, style), f"{missing}"),
        (("s3://no-such-bucket/a.wav", style), "no-such-bucket"),
        (("s3://bucket", style), "content: s3://bucket: names no object"),
        (("http://host/a.wav", style), "content: http://host/a.wav: a path, file:// or s3://"),
    ):
        with pytest.raises(audiostyle.InputError, match=re.escape(words)):
            audiostyle.transfer(*arguments, **options)
    with pytest.raises(audiostyle.InputError, match=re.escape(text)):
        audiostyle.read(text)
    with pytest.raises(audiostyle.InputError, match="cannot write"):
        audiostyle.write(f"{store.uri}/out/a.mp3", samples, rate)
    assert [entry.key for entry in store.list("out/")] == ["out/é #1.wav"]


def test_a_folder_and_a_class_are_styles(
    recordings: Path, classifier: Path, tmp_path: Path
) -> None:
    (tmp_path / "wind").mkdir()
    (tmp_path / "wind" / "style.wav").symlink_to(recordings / "style.wav")
    (tmp_path / "reed").mkdir()
    soundfile.write(tmp_path / "reed" / "a.wav", tone(330, seconds=1), RATE)
    options: dict[str, Any] = {"model": classifier, "phase_iterations": 2}
    content = recordings / "stereo.wav"
    one, _ = audiostyle.transfer(content, recordings / "style.wav", **options)
    for style in (tmp_path / "wind", str(tmp_path / "wind"), f"class:wind@{tmp_path}"):
        assert np.array_equal(audiostyle.transfer(content, style, **options)[0], one)
    with pytest.raises(audiostyle.InputError, match=r"^style: .*has no class 'brass'"):
        audiostyle.transfer(content, f"class:brass@{tmp_path}", **options)


def test_what_progress_raises_ends_the_transfer(recordings: Path, classifier: Path) -> None:
    def stop(share: float) -> None:
        raise InterruptedError(f"at {share}")

    with pytest.raises(InterruptedError):
        audiostyle.transfer(
            recordings / "stereo.wav", recordings / "style.wav", model=classifier, progress=stop
        )


SOUND = (tone(seconds=1), RATE)


@pytest.mark.parametrize(
    "content, style, settings, words",
    [
        ("{}/none.wav", SOUND, {}, "none.wav: does not exist"),
        (SOUND, "{}/text.wav", {}, "text.wav: cannot be decoded as audio"),
        ((np.zeros(RATE), RATE), SOUND, {}, "content: is silent"),
        (SOUND, (tone(seconds=0.05), RATE), {}, "style: is too short"),
        ((np.zeros((RATE, 2)), RATE), SOUND, {}, "content: shape (22050, 2) is 22050 channels"),
        ((np.zeros((1, 2, 3)), RATE), SOUND, {}, "content: shape (channels, frames) is needed"),
        ((np.zeros((1, 0)), RATE), SOUND, {}, "content: shape (channels, frames) is needed"),
        ((np.ones(RATE, np.int16), RATE), SOUND, {}, "floats in [-1, 1] are needed (got int16)"),
        ((np.full(RATE, np.nan), RATE), SOUND, {}, "content: holds samples that are not finite"),
        ((np.full(RATE, 1e300), RATE), SOUND, {}, "content: holds samples that are not finite"),
        ((SOUND[0], 22050.5), SOUND, {}, "sample rate from 1000 to 1536000 Hz"),
        ((SOUND[0], 10), SOUND, {}, "sample rate from 1000 to 1536000 Hz"),
        ((SOUND[0], "abc"), SOUND, {}, "sample rate from 1000 to 1536000 Hz"),
        ((SOUND[0], float("nan")), SOUND, {}, "sample rate from 1000 to 1536000 Hz"),
        ((SOUND[0], None), SOUND, {}, "sample rate from 1000 to 1536000 Hz"),
        (([[0.1], [0.1, 0.2]], RATE), SOUND, {}, "content: is no array of numbers"),
        ((torch.ones(RATE, dtype=torch.int16), RATE), SOUND, {}, "(got int16)"),
        (SOUND, [SOUND, (np.zeros(RATE), RATE)], {}, "style[1]: is silent"),
        (SOUND, [SOUND, SOUND], {"shares": 1}, "shares: a number for each style"),
        (SOUND, SOUND, {"seed": 2**64}, "seed: input should be less than"),
        (SOUND, SOUND, {"model": 3}, "model: 3"),
        (SOUND, SOUND, {"model": "x" * 300}, "has no models yet"),
        (SOUND[0], SOUND, {}, "content: a path or (samples, rate) is needed (got ndarray)"),
        (SOUND, SOUND, {"method": "best"}, "method: must be one of default"),
        (SOUND, SOUND, {"strength": 2}, "strength"),
        (SOUND, SOUND, {"strenght": 1}, "strenght"),
        (SOUND, SOUND, {"phase_iterations": -1}, "iterations"),
        (SOUND, SOUND, {"model": "none"}, "model: none"),
    ],
)
def test_what_is_refused(
    content: Any,
    style: Any,
    settings: dict[str, Any],
    words: str,
    recordings: Path,
    classifier: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    places = [x.format(recordings) if isinstance(x, str) else x for x in (content, style)]
    with pytest.raises(audiostyle.InputError, match=re.escape(words)):
        audiostyle.transfer(*places, **{"model": classifier, **settings})
    assert list(tmp_path.iterdir()) == []


def test_numbers_of_any_kind_give_the_same_samples(classifier: Path) -> None:
    samples = tone(seconds=1)
    options: dict[str, Any] = {"model": classifier, "phase_iterations": 1}
    right, _ = audiostyle.transfer(SOUND, SOUND, **options)
    frozen = samples.astype(np.float64)
    frozen.flags.writeable = False
    for content in (
        (frozen, np.int64(RATE)),
        (np.repeat(samples, 2)[::2], float(RATE)),
        (samples.tolist(), np.array(RATE)),
        (torch.tensor(samples, requires_grad=True), torch.tensor(RATE)),
        (np.asfortranarray(samples[None]), RATE),
    ):
        np.testing.assert_array_equal(audiostyle.transfer(content, SOUND, **options)[0], right)
    for half in (samples.astype(np.float16), torch.tensor(samples).bfloat16()):
        assert audiostyle.transfer((half, RATE), SOUND, **options)[0].shape == right.shape


def test_a_spectrogram_there_and_back() -> None:
    sound = tone(seconds=1, harmonics=4)
    spectrum = audiostyle.magnitude(sound, n_fft=1024, hop_length=256)
    again = audiostyle.griffin_lim(spectrum, n_fft=1024, hop_length=256, length=RATE)
    assert (spectrum.shape, again.shape) == ((513, 87), (RATE,))
    assert audiostyle.distance((again, RATE), (sound, RATE)) < 1
    assert audiostyle.distance((noise(seconds=1), RATE), (sound, RATE)) > 10
    for settings in ({"n_fft": 7}, {"hop_length": 2048}, {"window": "kaiser"}):
        with pytest.raises(audiostyle.InputError, match=next(iter(settings))):
            audiostyle.magnitude(sound, **settings)
    for wrong in ({"length": 22050.0}, {"length": "a"}, {"momentum": "a"}):
        with pytest.raises(audiostyle.InputError, match=next(iter(wrong))):
            audiostyle.griffin_lim(spectrum, n_fft=1024, hop_length=256, **wrong)
    with pytest.raises(audiostyle.InputError, match="no spectrogram"):
        audiostyle.magnitude(sound[:0])


def test_a_file_there_and_back(tmp_path: Path) -> None:
    sound = np.stack([tone(seconds=1), noise(seconds=1)])
    audiostyle.write(tmp_path / "new" / "a.wav", sound, RATE, subtype="FLOAT")
    samples, rate = audiostyle.read(tmp_path / "new" / "a.wav")
    assert rate == RATE and np.array_equal(samples, sound)
    for name, samples, words in (
        ("a.mp3", sound, "cannot write .mp3"),
        ("b.wav", sound * 9, "would be clipped"),
        ("b.wav", sound.T, "pass samples.T"),
    ):
        with pytest.raises(audiostyle.InputError, match=words):
            audiostyle.write(tmp_path / name, samples, RATE)
    assert {path.name for path in tmp_path.rglob("*")} == {"new", "a.wav"}


def test_a_classifier_gives_activations(classifier: Path, tmp_path: Path) -> None:
    import torch

    model = audiostyle.Classifier.load(classifier)
    spectrum = torch.from_numpy(audiostyle.magnitude(tone())[None])
    assert model(spectrum).shape == (1, len(model.class_names))
    assert set(model.features(spectrum)) == {"conv1", "conv2", "conv3", "conv4"}
    with pytest.raises(audiostyle.InputError, match="no manifest"):
        audiostyle.Classifier.load(tmp_path)


def test_the_page_works(
    classifier: Path, recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    codes = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert len(codes) == 2
    assert len([line for line in codes[0].splitlines() if line]) <= 11
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (tmp_path / "content.wav").symlink_to(recordings / "stereo.wav")
    (tmp_path / "style.wav").symlink_to(recordings / "style.wav")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for code in codes:
        exec(code, names)  # noqa: S102
    assert audiostyle.read("result.wav")[0].shape == names["content"].shape
    for name in re.findall(r"^\| `(\w+)", page, re.MULTILINE):
        assert name in audiostyle.__all__
