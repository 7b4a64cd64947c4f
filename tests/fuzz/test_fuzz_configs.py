"""Settings in files and on the command line."""

from pathlib import Path

import pytest
from damage import Damage, damages
from fuzzing import Outcome, Warm, attempt, fuzz, place
from hypothesis import strategies as st
from small import classifier, small, warm  # noqa: F401, fixtures

from audiostyle.config import Config
from components.preprocess.preprocess import PreprocessConfig
from components.reconstruct.config import ReconstructConfig
from components.stylize.config import StylizeConfig
from components.train.config import TrainConfig
from pipeline.settings import Settings

_LAUGHS = "a: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)
)
# What YAML can say that no setting means.
_VALUES = (
    *("null", "true", "-1", "0", "1e400", ".nan", ".inf", "9" * 5000, "0x", "0b", "1e", "-", "~"),
    *("2001-99-99", "2001-01-01", "12:99:99", "!!binary x", "!!python/object/apply:os.system [id]"),
    *(
        "!!python/name:os.system",
        "!!set {a}",
        "!!timestamp x",
        "!!int x",
        "!!float x",
        "!!omap [a]",
    ),
    *(
        "[",
        "{",
        "&a [*a]",
        "&a {b: *a}",
        "*nothing",
        "? [a]\n: b",
        "{[a]: b}",
        "{{}: b}",
        "=",
        "<<",
    ),
    *("{<<: [a]}", "'\\x00'", '"\\ud800"', '"\\0"', "[" * 3000, "{a: " * 1000, "x" * 100_000, "@"),
    *(
        "../evil",
        "/evil",
        "s3://",
        "https://user:word@host",
        "{}",
        "[]",
        "''",
        "1 000",
        "1_0",
        "0o9",
    ),
    *(
        "[0, 0, 0, 0]",
        "[1000000000, 1, 1, 1]",
        "1000000000",
        "99999999999999999999",
        "0.0",
        "1e-320",
    ),
)
_STAGES: dict[str, type[Config]] = {
    "preprocess": PreprocessConfig,
    "train": TrainConfig,
    "stylize": StylizeConfig,
    "reconstruct": ReconstructConfig,
}


def _names(cls: type[Config]) -> list[str]:
    """Every setting of a stage, dotted."""
    found = []
    for name, field in cls.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, Config):
            found += [f"{name}.{one}" for one in _names(inner)]
        found.append(name)
    return found


def _nested(name: str, value: str) -> str:
    *above, last = name.split(".")
    lines = [f"{'  ' * depth}{part}:" for depth, part in enumerate(above)]
    return "\n".join([*lines, f"{'  ' * len(above)}{last}: {value}", ""])


def _inputs(small: Path) -> dict[str, tuple[object, ...]]:
    return {
        "preprocess": ("--data", small / "clips.csv"),
        "train": ("--data", small / "set"),
        "stylize": ("--pairs", small / "pairs.csv", "--classifier", small / "model", *METHOD),
        "reconstruct": ("--stylized", small / "stylized"),
    }


METHOD = ("--method", "trained")
_COSTLY = (
    "method",
    "epochs",
    "iterations",
    "patience",
    "workers",
    "cache",
    "device",
    "window_seconds",
)


@pytest.mark.slow
def test_files_of_settings(warm: Warm, small: Path, classifier: Path) -> None:
    def one(drawn: tuple[str, bytes | Damage]) -> Outcome:
        stage, content = drawn
        if isinstance(content, Damage):
            content = content.of(b"iterations: 1\nseed: 3\nformat: flac\n", 30)
        with place() as folder:
            (folder / "bad.yaml").write_bytes(content)
            if stage == "audiostyle":
                (folder / "bad.yaml").write_bytes(b"stylize:\n  " + content.replace(b"\n", b"\n  "))
                inputs: tuple[object, ...] = (small / "content.wav", small / "style.wav")
                command = (
                    "audiostyle",
                    "stylize",
                    *inputs,
                    "--model",
                    classifier,
                    *METHOD,
                    "-o",
                    "o.wav",
                )
                out = "o.wav"
            else:
                command = (stage, *_inputs(small)[stage], "--out", "out")
                out = "out"
            return attempt(warm, folder, *command, "--config", "bad.yaml", out=out)

    def texts(stage: str) -> st.SearchStrategy[tuple[str, bytes | Damage]]:
        cls = _STAGES.get(stage, StylizeConfig)
        names = [name for name in _names(cls) if name.split(".")[-1] not in _COSTLY]
        known = st.builds(_nested, st.sampled_from(names), st.sampled_from(_VALUES))
        text = st.one_of(
            known,
            known,
            st.builds(
                lambda name, value: f"{name}: {value}\n",
                st.text(max_size=5),
                st.sampled_from(_VALUES),
            ),
            st.sampled_from([_LAUGHS, "- a\n", "a\n", "\t", "%YAML 9.9\n---\n", "--- a\n--- b\n"]),
        ).map(lambda found: found.encode("utf-8", "surrogatepass"))
        content = st.one_of(text, text, damages(), st.binary(min_size=1, max_size=30))
        return st.tuples(st.just(stage), content)

    stages = st.sampled_from([*_STAGES, "audiostyle"])
    fuzz("config", stages.flatmap(texts), one)


@pytest.mark.slow
def test_options(warm: Warm, small: Path) -> None:
    def one(drawn: tuple[str, str, str]) -> Outcome | None:
        stage, name, value = drawn
        if "\x00" in value or "\ud800" in value or len(value) > 50_000:
            return None  # no system would hand it over
        option = f"--{name.split('.')[-1].replace('_', '-')}={value}"
        with place() as folder:
            return attempt(
                warm, folder, stage, *_inputs(small)[stage], "--out", "out", option, out="out"
            )

    def options(stage: str) -> st.SearchStrategy[tuple[str, str, str]]:
        names = [
            name
            for name in _names(_STAGES[stage])
            if name.split(".")[-1]
            not in (*_COSTLY, "spectrogram", "cut", "network", "augmentation")
        ]
        return st.tuples(st.just(stage), st.sampled_from(names), st.sampled_from(_VALUES))

    fuzz("option", st.sampled_from(list(_STAGES)).flatmap(options), one)


@pytest.mark.slow
@pytest.mark.parametrize("stage", _STAGES)
def test_good_settings_are_taken(stage: str, warm: Warm, small: Path) -> None:
    good = {
        "preprocess": "spectrogram: {n_fft: 256, hop_length: 128, clip_seconds: 0.25}\n"
        "validation: 0\ntest: 0\n",
        "train": "epochs: 1\nnetwork: {bands: 16, channels: [2, 2, 2, 2]}\n",
        "stylize": "iterations: 1\ninit: content\n",
        "reconstruct": "iterations: 1\nformat: flac\n",
    }
    assert "cluster" in Settings.model_fields
    with place() as folder:
        (folder / "good.yaml").write_text(good[stage])
        command = (stage, *_inputs(small)[stage], "--out", "out", "--config", "good.yaml")
        assert attempt(warm, folder, *command, out="out").code == 0
