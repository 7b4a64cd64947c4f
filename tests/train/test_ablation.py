"""The ablation removes one augmentation at a time, and tests on collections not trained on."""

from pathlib import Path

import pytest
import torch

from audiostyle import spectrogram_set
from benchmarks.ablation import OFF, by_collection, recipes
from benchmarks.bundled import RECORDINGS
from components.preprocess.preprocess import PreprocessConfig
from components.train.augmentation import augment
from components.train.config import AugmentationConfig
from components.train.protocol import of_fold


def test_every_augmentation_is_removed_alone() -> None:
    full = AugmentationConfig()
    assert set(OFF) == set(AugmentationConfig.model_fields) - {"mixing"}
    for name, recipe in recipes(full, []).items():
        changed = {key for key, value in recipe if value != getattr(full, key)}
        assert changed == set(name.split()[1:]) - {"recipe"}


def test_without_any_a_clip_is_left_as_it_is() -> None:
    x = torch.randn(4, 40, 60, generator=torch.Generator().manual_seed(0))
    off = AugmentationConfig.parse(OFF, "test")
    assert augment(x, off, torch.Generator().manual_seed(0)) is x


@pytest.mark.slow
def test_a_collection_is_in_one_fold_and_no_test_clip_in_any(tmp_path: Path) -> None:
    clips = spectrogram_set.read(by_collection(RECORDINGS, tmp_path, PreprocessConfig()))
    assert {clip.path.split("/")[0] for clip in clips.clips} == {"train"}
    folds = {clip.fold for clip in clips.clips}
    assert folds == {"FluidR3_GM", "freepats", "Sonivox", "VSCO2"}
    for fold in folds:
        split = of_fold(clips, fold)
        assert {clip.fold for clip in split.clips if clip.split == "test"} == {fold}
        assert fold not in {clip.fold for clip in split.clips if clip.split != "test"}
