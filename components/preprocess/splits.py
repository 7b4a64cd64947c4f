"""Which clips train, which choose, which test: as published, by folds, or drawn group by group."""

from pathlib import Path

from audiostyle.errors import InputError
from audiostyle.spectrogram_set import Clip
from audiostyle.splitting import drawn, in_order
from components.preprocess.datasets.base import Source


def clips(
    sources: list[Source],
    root: Path,
    *,
    seed: int,
    validation: float,
    test: float,
    license: str = "",
) -> list[Clip]:
    """Clips with their splits.

    Splits are kept where the data set has them. Of folds, the last is the test split, the one
    before validates, the others train. Else groups are drawn by a hash of the seed and the group,
    so that a clip stays where it is when others come or go; validation and test are shares.
    Raises InputError where there are fewer than two classes, or a class has no training clips.
    """
    if all(source.split for source in sources):
        splits = [source.split for source in sources]
    elif any(source.split for source in sources):
        without = next(source for source in sources if not source.split)
        raise InputError(f"data: {root}: {without.path} has no split, though others have one")
    elif all(source.fold for source in sources):
        splits = _of_folds(sources, root)
    elif any(source.fold for source in sources):
        without = next(source for source in sources if not source.fold)
        raise InputError(f"data: {root}: {without.path} has no fold, though others have one")
    else:
        splits = [_split(source, seed, validation, test) for source in sources]
    listed = [
        Clip(
            source.path,
            source.label,
            split,
            source.group or source.path,
            licence=source.license or license,
            fold=source.fold,
            source_id=source.source_id,
        )
        for source, split in zip(sources, splits, strict=True)
    ]
    labels = {clip.label for clip in listed}
    if len(labels) < 2:
        names = "".join(f", {label!r}" for label in labels)
        raise InputError(f"data: {root} has {len(labels)} class{names}; 2 or more are needed")
    trained = {clip.label for clip in listed if clip.split == "train"}
    if missing := labels - trained:
        drawn_away = f": the random split (seed {seed}) draws all of them for validation and test"
        raise InputError(
            f"data: {root} has no training clips of {', '.join(sorted(missing))}"
            f"{drawn_away if is_random(sources) else ''}"
        )
    return listed


def require_splits(
    clips: list[Clip], root: Path, *, seed: int, validation: float, test: float
) -> None:
    """Raise InputError where a random split left a part of it empty that was asked for."""
    groups = len({clip.group for clip in clips})
    for split, share in (("validation", validation), ("test", test)):
        if share and not any(clip.split == split for clip in clips):
            raise InputError(
                f"data: {root}: the random split leaves no recordings for {split}: there are"
                f" {groups} groups of recordings, of which it draws {test:.0%} for test and"
                f" {validation:.0%} for validation (seed {seed}). Add recordings, change `test`,"
                " `validation` or `seed` of preprocess, or give the data set folders train,"
                " validation and test or a manifest with a column split"
            )


def is_random(sources: list[Source]) -> bool:
    """Whether a data set says nothing of splits or folds."""
    return not any(source.split or source.fold for source in sources)


def _of_folds(sources: list[Source], root: Path) -> list[str]:
    folds = in_order(source.fold for source in sources)
    if len(folds) < 3:
        raise InputError(f"data: {root} has {len(folds)} folds; 3 or more are needed")
    names = dict.fromkeys(folds, "train") | {folds[-2]: "validation", folds[-1]: "test"}
    return [names[source.fold] for source in sources]


def _split(source: Source, seed: int, validation: float, test: float) -> str:
    share = int.from_bytes(drawn(seed, source.group or source.path)[:8], "big") / 2**64
    if share < test:
        return "test"
    return "validation" if share < test + validation else "train"
