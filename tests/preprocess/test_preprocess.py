"""A folder of recordings becomes a spectrogram set; what cannot be used is named."""

import shutil
from pathlib import Path

import pytest
import soundfile
import torch
from conftest import noise, tone
from test_audio import unusable

from audiostyle import audio, spectrogram_set
from audiostyle.errors import ArtifactError, InputError
from audiostyle.spectrogram import SpectrogramConfig, magnitude
from components.preprocess.data_set import data_set
from components.preprocess.preprocess import PreprocessConfig, preprocess


def test_set_holds_the_spectrogram_of_every_clip(data: Path, spectrograms: Path) -> None:
    made = spectrogram_set.read(spectrograms)
    assert made.class_names == ("bell", "reed", "wind")
    assert {s: len(made.where(s)) for s in spectrogram_set.SPLITS} == {
        "train": 9,
        "validation": 3,
        "test": 6,
    }
    everything = torch.cat(list(made.shards()))
    assert everything.shape == (18, 1025, made.spectrogram.clip_frames)
    for clip, stored in zip(made.clips, everything, strict=True):
        samples = torch.from_numpy(audio.mono(audio.read(data / clip.path)))
        torch.testing.assert_close(stored, magnitude(samples, SpectrogramConfig()))
        assert clip.path.split("/")[:2] == [clip.split, clip.label]


def test_same_data_same_artifact(data: Path, spectrograms: Path, tmp_path: Path) -> None:
    preprocess(data, tmp_path / "again", PreprocessConfig())
    assert (
        spectrogram_set.read(tmp_path / "again").digest == spectrogram_set.read(spectrograms).digest
    )


def test_any_rate_length_and_channel_count_makes_a_clip(tmp_path: Path) -> None:
    for label, rate, seconds in (("long", 48000, 7.0), ("short", 8000, 0.5)):
        for split in spectrogram_set.SPLITS:
            folder = tmp_path / "data" / split / label
            folder.mkdir(parents=True)
            samples = tone(500, rate=rate, seconds=seconds)
            soundfile.write(folder / f"{split}.flac", samples[:, None].repeat(2, 1), rate)
    config = PreprocessConfig.parse({"spectrogram": {"sample_rate": 16000, "clip_seconds": 2}}, "t")
    preprocess(tmp_path / "data", tmp_path / "set", config)
    made = spectrogram_set.read(tmp_path / "set")
    for clip, stored in zip(made.clips, torch.cat(list(made.shards())), strict=True):
        frames = stored[:, : 10 if clip.label == "short" else None]
        assert stored.shape == (1025, 1 + 32000 // 512)
        assert int(frames.mean(1).argmax()) == round(500 * 2048 / 16000)


def test_files_that_cannot_be_used_are_named(data: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    shutil.copytree(data, root)
    bad = unusable(tmp_path / "bad")
    for word in ("empty", "decoded", "silent", "short", "finite"):
        shutil.copy(bad[word], root / "train" / "bell" / f"bad-{word}.wav")
    with pytest.raises(InputError, match=r"bad-.*max_failures is 1\.00%") as caught:
        preprocess(root, tmp_path / "set", PreprocessConfig())
    assert caught.value.exit_code == 2
    assert not (tmp_path / "set").exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad", "data"]
    preprocess(root, tmp_path / "set", PreprocessConfig(max_failures=0.5))
    made = spectrogram_set.read(tmp_path / "set")
    assert len(made.clips) == 18
    failures = (tmp_path / "set" / "failures.jsonl").read_text()
    for word in ("empty", "decoded", "silent", "short", "finite"):
        assert f"train/bell/bad-{word}.wav" in failures
        assert word in failures


def test_random_split_is_stable_and_keeps_groups(tmp_path: Path) -> None:
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        for number in range(60):
            (tmp_path / label / f"take{number // 3}__{number % 3}.wav").touch()
    clips = data_set(tmp_path, seed=0, validation=0.2, test=0.2).clips
    splits: dict[tuple[str, str], set[str]] = {}
    for clip in clips:
        splits.setdefault((clip.label, clip.group), set()).add(clip.split)
    assert all(len(names) == 1 for names in splits.values())
    assert {clip.split for clip in clips} == set(spectrogram_set.SPLITS)
    # Taking files away moves none of the others.
    for path in list((tmp_path / "a").glob("take[0-4]__*")):
        path.unlink()
    before = {clip.path: clip.split for clip in clips}
    after = {c.path: c.split for c in data_set(tmp_path, seed=0, validation=0.2, test=0.2).clips}
    assert after.items() <= before.items()
    other = {c.path: c.split for c in data_set(tmp_path, seed=1, validation=0.2, test=0.2).clips}
    assert other != after


@pytest.mark.parametrize(
    "folders, words",
    [
        ([], "0 class folders"),
        (["a"], "1 class folders"),
        (["test/a", "test/b"], "no train folder"),
        (["train/a", "train/b", "test/c"], "no training clips of c"),
    ],
)
def test_folders_that_are_no_data_set(folders: list[str], words: str, tmp_path: Path) -> None:
    for folder in folders:
        (tmp_path / folder).mkdir(parents=True)
        soundfile.write(tmp_path / folder / "x.wav", noise(), 22050)
    with pytest.raises(InputError, match=words) as caught:
        preprocess(tmp_path, tmp_path / "out", PreprocessConfig())
    assert str(tmp_path) in str(caught.value)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere does not exist"):
        preprocess(tmp_path / "nowhere", tmp_path / "out", PreprocessConfig())


def test_reading_checks_the_tensors(spectrograms: Path, tmp_path: Path) -> None:
    copy = tmp_path / "set"
    shutil.copytree(spectrograms, copy)
    (copy / "magnitudes-00000.safetensors").write_bytes(b"")
    with pytest.raises(ArtifactError, match="damaged"):
        spectrogram_set.read(copy)
