"""How many recordings of a data set may be unusable: a share of all, and never a whole class."""

import logging
from collections.abc import Iterable, Iterator

from torch import Tensor

from audiostyle.errors import InputError
from audiostyle.progress import progress
from audiostyle.spectrogram_set import Clip, Failure

log = logging.getLogger(__name__)


def bounded(
    results: Iterable[list[tuple[Clip, Tensor]] | Failure],
    clips: list[Clip],
    share: float,
    place: str,
) -> Iterator[list[tuple[Clip, Tensor]] | Failure]:
    """Pass results on; raise InputError for too many failures, or a class of nothing else.

    clips: all that there will be results of.
    place: the folder that paths are relative to, for errors.
    """
    total = len(clips)
    files = {clip.path: (clip.label, clip.split == "train") for clip in clips}
    usable: set[tuple[str, bool]] = set()
    failures: dict[str, Failure] = {}
    for result in progress(results, "preprocess", total):
        if isinstance(result, Failure):
            if result.path in failures:  # of the parts of a long recording one is enough
                continue
            failures[result.path] = result
            log.warning("preprocess: %s/%s: %s", place, result.path, result.reason)
            if len(failures) > share * total:
                raise InputError(
                    f"{place}/{result.path}: {result.reason} ({len(failures)} of {total} files"
                    f" cannot be used, max_failures is {share:.2%})"
                )
        else:
            usable.update(files[clip.path] for clip, _ in result)
        yield result
    for label in sorted({label for label, _ in files.values()}):
        if (label, True) in usable:
            continue
        number = sum(files[path] == (label, True) for path in failures)
        first = next((f for path, f in failures.items() if files[path] == (label, True)), None)
        reason = f", first {first.path}: {first.reason}" if first else ": all of it is silence"
        raise InputError(
            f"{place}: none of the training recordings of {label!r} can be used"
            f" ({number} failed{reason})"
        )
