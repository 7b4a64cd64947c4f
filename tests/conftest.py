"""Recordings and artifacts that several tests use. All are made here; nothing outside is needed."""

import fnmatch
import os
import signal
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile

from audiostyle.audio import Samples

if TYPE_CHECKING:
    from components.train.config import TrainConfig

# Several processes share the tests and the processors, and of tensors this small two threads mostly
# wait for each other. torch reads it at its import; the processes that tests start inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A script's shell starts what it puts into the background with Ctrl-C ignored, nohup what it starts
# with SIGHUP ignored, and processes that tests interrupt would inherit that.
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Not imported where they are used: a module that imports a fixture has one of its own.
pytest_plugins = [
    *("browsing", "docker_images", "seaweedfs", "mlflow_server"),
    *("bulk_jobs", "warm_workers"),
]


# The groups of tests that take longest, for two processes to end at about the same time.
_LONGEST = (
    "docker",
    "test_server.py",
    "test_workspace.py",
    "test_end_to_end.py",
    "test_bulk_chaos.py",
    "test_stack.py",
    "test_wheel.py",
    "test_resume.py",
    "test_bulk_hostile.py",
    "test_bulk_s3.py",
    "test_bulk_situations.py",
)


# What takes seconds to start: a test that uses one of these is slow without being marked.
_SERVERS = {"chromium", "images", "mlflow_server", "seaweedfs_server", "server"}


@pytest.hookimpl(tryfirst=True)  # before xdist, which reads the groups, and the choice by markers
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where several processes share the tests, a file stays together, as do all with containers.

    The longest groups come first.
    """
    place: dict[pytest.Item, int] = {}
    for item in items:
        if _SERVERS & set(getattr(item, "fixturenames", ())):
            item.add_marker("slow")
        group = "docker" if item.get_closest_marker("docker") else item.path.name
        item.add_marker(pytest.mark.xdist_group(group))
        place[item] = _LONGEST.index(group) if group in _LONGEST else len(_LONGEST)
    items.sort(key=place.__getitem__)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Spell out names that are no UTF-8 in what was captured: processes cannot hand them on."""
    report = yield
    report.sections = [
        (title, text.encode("utf-8", "backslashreplace").decode())
        for title, text in report.sections
    ]
    return report


def files_below(folder: Path, pattern: str) -> list[Path]:
    """Files by name, also while a process makes and removes folders, where rglob fails."""
    return [
        Path(place, name)
        for place, _, names in os.walk(folder)
        for name in fnmatch.filter(names, pattern)
    ]


ROOT = Path(__file__).resolve().parent.parent
RATE = 22050
# Seconds after which what is waited for has failed, whatever else the machine does meanwhile.
DEADLINE = 300


def tone(
    frequency: float = 440.0,
    *,
    seconds: float = 3.0,
    rate: int = RATE,
    harmonics: int = 1,
    decay: float = 0.0,
    level: float = 0.3,
) -> Samples:
    """Harmonics of falling strength under an exponential decay (1/s). Output: [n] float32."""
    t = np.arange(round(seconds * rate)) / rate
    wave = sum(np.sin(2 * np.pi * frequency * k * t) / k for k in range(1, harmonics + 1))
    wave = wave * np.exp(-decay * t)
    return np.asarray(level * wave / np.abs(wave).max(), np.float32)


def noise(*, seconds: float = 3.0, rate: int = RATE, level: float = 0.2, seed: int = 0) -> Samples:
    """White noise. Output: [n] float32."""
    random = np.random.default_rng(seed)
    return (level * random.standard_normal(round(seconds * rate))).clip(-1, 1).astype(np.float32)


# Three classes that a small network tells apart in seconds, in any pitch.
_CLASSES: dict[str, Callable[[float, int], Samples]] = {
    "bell": lambda pitch, seed: tone(pitch * 2, harmonics=3, decay=6),
    "reed": lambda pitch, seed: tone(pitch, harmonics=15),
    "wind": lambda pitch, seed: noise(seed=seed) * np.float32(0.5) + tone(pitch, level=0.02),
}


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of three classes with train, validation and test folders, 18 clips."""
    root = tmp_path_factory.mktemp("data")
    counts = {"train": 3, "validation": 1, "test": 2}
    for label, make in _CLASSES.items():
        number = 0
        for split, count in counts.items():
            folder = root / split / label
            folder.mkdir(parents=True)
            for _ in range(count):
                number += 1
                pitch = 200 * 2 ** (number / 7)
                soundfile.write(folder / f"{label}{number}.wav", make(pitch, number), RATE)
    return root


@pytest.fixture(scope="session")
def spectrograms(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The spectrogram set of `data`."""
    from components.preprocess.preprocess import PreprocessConfig, preprocess

    out = tmp_path_factory.mktemp("spectrograms") / "set"
    preprocess(data, out, PreprocessConfig())
    return out


@pytest.fixture(scope="session")
def classifier(spectrograms: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small classifier trained on `spectrograms`."""
    from components.train.train import train

    out = tmp_path_factory.mktemp("classifier") / "model"
    train(spectrograms, out, small_training())
    return out


def small_training(**changes: object) -> "TrainConfig":
    """Settings that train in a second or two."""
    from components.train.config import TrainConfig

    values = {"network": {"bands": 32, "channels": (4, 8, 8, 8)}, "epochs": 4, "batch": 4}
    return TrainConfig.parse({**values, **changes}, "test")


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest of two pairs: mono with a target, and stereo at another rate and length."""
    root = tmp_path_factory.mktemp("pairs")
    melody = np.concatenate([tone(f, seconds=0.5, harmonics=8, decay=3) for f in (220, 330, 440)])
    soundfile.write(root / "a.wav", melody, RATE)
    soundfile.write(root / "b.flac", tone(262, seconds=2, harmonics=3), RATE)
    soundfile.write(
        root / "c.wav", np.concatenate([tone(f, seconds=0.5) for f in (220, 330, 440)]), RATE
    )
    left = tone(440, seconds=1.234, rate=44100, harmonics=4)
    soundfile.write(root / "d.wav", np.stack([left, left * 0.25], 1), 44100, subtype="FLOAT")
    (root / "pairs.csv").write_text(
        "id,content,style,target\nmono,a.wav,b.flac,c.wav\nstereo,d.wav,b.flac,\n"
    )
    return root / "pairs.csv"
