"""A stage that is killed goes on where it was, and ends as if it had not been."""

import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from conftest import DEADLINE, RATE, files_below, noise, tone

from audiostyle import artifacts
from components.stylize.config import StylizeConfig
from components.stylize.pairs import read_pairs
from components.stylize.stylize import stylize

CONFIG = StylizeConfig(
    method="trained", iterations=15, init="noise", window_seconds=3, overlap_seconds=1, batch=2
)


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest of a long recording and two short ones."""
    root = tmp_path_factory.mktemp("long")
    notes = [tone(220 * 2 ** (k % 12 / 12), seconds=1, harmonics=5, decay=2) for k in range(30)]
    soundfile.write(root / "long.flac", np.concatenate(notes), RATE)
    soundfile.write(root / "short.wav", tone(330, harmonics=4), RATE)
    soundfile.write(root / "style.wav", noise(seconds=1), RATE)
    (root / "pairs.csv").write_text(
        "id,content,style\na,short.wav,style.wav\nb,long.flac,style.wav\nc,short.wav,long.flac\n"
    )
    return root / "pairs.csv"


def digest(folder: Path) -> str:
    return artifacts.opening(folder, artifacts.STYLIZED_SET).digest


@pytest.mark.slow
def test_killed_again_and_again(long: Path, classifier: Path, tmp_path: Path) -> None:
    assert stylize(read_pairs(long), classifier, tmp_path / "unbroken", CONFIG) == []
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(CONFIG.plain()))
    out, kept = tmp_path / "broken", tmp_path / ".broken.work"
    command = [sys.executable, "-m", "components.stylize", "--pairs", long, "--out", out]
    command += ["--classifier", classifier, "--config", tmp_path / "config.yaml"]
    chance = random.Random(0)
    kills, last = 0, 0
    for _ in range(50):
        process = subprocess.Popen([*map(str, command)], stderr=subprocess.DEVNULL)
        if kills < 2:
            # Kill at a random moment of the batch after the next that is finished.
            before = set(files_below(kept, "batch-*.safetensors"))
            last = len(before)
            while (
                process.poll() is None
                and len(set(files_below(kept, "batch-*.safetensors"))) <= last
            ):
                time.sleep(0.005)
            time.sleep(chance.uniform(0, 0.1))
            (process.terminate if kills % 2 else process.kill)()
        if process.wait(DEADLINE) == 0:
            break
        kills += 1
        # It went on, and did not start over.
        assert len(set(files_below(kept, "batch-*.safetensors"))) > last
        assert not out.exists() or digest(out)
    assert kills == 2
    assert digest(out) == digest(tmp_path / "unbroken")
    assert {p.name for p in tmp_path.iterdir()} == {"unbroken", "broken", "config.yaml"}


def test_only_the_same_work_is_taken_up(
    long: Path, classifier: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pairs = read_pairs(long)[:1]
    quick = CONFIG.model_copy(update={"iterations": 2})
    work = tmp_path / "work"
    stylize(pairs, classifier, tmp_path / "a", quick)

    def interrupt(config: StylizeConfig) -> None:
        """Stylize, and fail at the writing of the result."""
        (tmp_path / "file").touch()
        with pytest.raises(OSError):
            stylize(pairs, classifier, tmp_path / "file" / "out", config, work=work)

    interrupt(quick)
    (batch,) = work.rglob("batch-*")
    assert batch.name == "batch-000000.safetensors"
    other = quick.model_copy(update={"seed": 1})
    interrupt(other)
    assert len(list(work.rglob("batch-*"))) == 2
    # What is there is what the next call uses: it does not compute anything.
    caplog.clear()
    with caplog.at_level("INFO"):
        stylize(pairs, classifier, tmp_path / "b", quick, work=work)
    assert "0 of 1 batches left" in caplog.text
    assert digest(tmp_path / "a") == digest(tmp_path / "b")
    assert len(list(work.rglob("batch-*"))) == 1  # its own are gone, the other's are not
    # A file that a crash cut short is computed anew.
    interrupt(quick)
    batch.write_bytes(batch.read_bytes()[:1000])
    with caplog.at_level("WARNING"):
        stylize(pairs, classifier, tmp_path / "d", quick, work=work)
    assert "damaged batch passed over" in caplog.text
    assert digest(tmp_path / "d") == digest(tmp_path / "a")


@pytest.mark.slow
def test_the_same_work_at_once_in_one_folder(long: Path, classifier: Path, tmp_path: Path) -> None:
    """Each has a folder of its own, and removes no more than that."""
    work, quick = tmp_path / "work", CONFIG.model_copy(update={"iterations": 2})
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(quick.plain()))
    command = [sys.executable, "-m", "components.stylize", "--pairs", long, "--work", work]
    command += ["--classifier", classifier, "--config", tmp_path / "config.yaml", "--out"]
    outs = [tmp_path / name for name in ("a", "b", "c")]
    # Into files: a pipe that nobody reads meanwhile would stop one of them.
    logs = [out.with_suffix(".log") for out in outs]
    processes = [
        subprocess.Popen([*map(str, command), str(out)], stderr=path.open("wb"))
        for out, path in zip(outs, logs, strict=True)
    ]
    codes = [process.wait(timeout=600) for process in processes]
    assert codes == [0, 0, 0], [path.read_text() for path in logs]
    assert len({digest(out) for out in outs}) == 1
    assert not work.exists()


_MEASURE = """
import sys
from pathlib import Path
from components.stylize.config import StylizeConfig
from components.stylize.pairs import Pair
from components.stylize.stylize import stylize

content, style, classifier, out = map(Path, sys.argv[1:])
settings = StylizeConfig(method="trained", iterations=0)
stylize([Pair("x", content, style)], classifier, out, settings)
print(next(l for l in open("/proc/self/status") if l.startswith("VmHWM")).split()[1])
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_memory_does_not_grow_with_length(classifier: Path, tmp_path: Path) -> None:
    peaks = []
    soundfile.write(tmp_path / "style.wav", tone(300, seconds=1), RATE)
    for minutes in (2, 6):  # several batches each: the first ones fill the allocator's pools
        content = tmp_path / f"{minutes}.wav"
        soundfile.write(content, np.stack([tone(seconds=60 * minutes)] * 2, 1), RATE)
        arguments = [content, tmp_path / "style.wav", classifier, tmp_path / f"set{minutes}"]
        done = subprocess.run(
            [sys.executable, "-c", _MEASURE, *map(str, arguments)],
            capture_output=True,
            text=True,
            check=True,
        )
        peaks.append(int(done.stdout.split()[-1]) / 1024)
    # Four more minutes of stereo are 42 MB of samples and 170 MB of spectrogram.
    assert peaks[1] - peaks[0] < 30, peaks
