"""Which clips teach, which choose and which test, for each fold of a data set."""

import dataclasses
from collections import Counter

from audiostyle.errors import InputError
from audiostyle.spectrogram_set import Clip, SpectrogramSet
from audiostyle.splitting import drawn, in_order

# Of the clips of each class outside the test fold, rounded up by whole groups: enough for early
# stopping to see more than luck, few enough that nearly all of the other folds teach.
VALIDATION = 0.1


def folds(clips: SpectrogramSet) -> list[str]:
    """Names of the folds, fold2 before fold10. Raises InputError where there are fewer than two."""
    names = {clip.fold for clip in clips.clips}
    if len(names - {""}) < 2 or "" in names:
        raise InputError(
            f"folds: the data of {clips.artifact.folder} has no folds; leave the option out to"
            " train on its splits"
        )
    return in_order(names)


def of_fold(clips: SpectrogramSet, fold: str, seed: int = 0) -> SpectrogramSet:
    """The same clips, split for one fold: it tests, a part of the others validates, the rest train.

    Validation takes whole groups (recordings that clips were cut from) of every class, a tenth of
    its clips, drawn by a hash of the seed and the group; a class of a single group keeps it for
    training. Raises InputError where there is no such fold, or where a group is in two folds.
    """
    known = folds(clips)
    if fold not in known:
        raise InputError(f"fold: {fold!r} must be one of {', '.join(known)}")
    home: dict[str, str] = {}
    for clip in clips.clips:
        if home.setdefault(clip.group, clip.fold) != clip.fold:
            raise InputError(
                f"folds: group {clip.group!r} of {clips.artifact.folder} is in fold"
                f" {home[clip.group]} and {clip.fold}; its clips would be taught and tested"
            )
    rest = [clip for clip in clips.clips if clip.fold != fold]
    validating = _groups(rest, seed)

    def split(clip: Clip) -> str:
        if clip.fold == fold:
            return "test"
        return "validation" if clip.group in validating else "train"

    resplit = tuple(dataclasses.replace(clip, split=split(clip)) for clip in clips.clips)
    return dataclasses.replace(clips, clips=resplit)


def _groups(clips: list[Clip], seed: int) -> set[str]:
    """Groups that together hold VALIDATION of the clips of every class, and never all of one."""
    chosen: set[str] = set()
    for label in sorted({clip.label for clip in clips}):
        sizes = Counter(clip.group for clip in clips if clip.label == label)
        wanted = VALIDATION * sizes.total()
        taken = sum(size for group, size in sizes.items() if group in chosen)
        left = sum(group not in chosen for group in sizes)
        for group in sorted(sizes, key=lambda group: drawn(seed, group)):
            if taken >= wanted or left <= 1:
                break
            if group not in chosen:
                chosen.add(group)
                taken += sizes[group]
                left -= 1
    return chosen
