"""A style as people name it: a recording, a folder, a class of a data set, or several of these."""

import os
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from audiostyle.artifacts import digest_of
from audiostyle.errors import InputError
from audiostyle.recordings import Recordings, as_place, beside, is_object, naming_objects
from audiostyle.store import open_store
from audiostyle.untrusted import yaml_value
from audiostyle.uris import join_s3, split_s3

Place = Path | str  # a file, or s3://bucket/key

# Recordings of one style: of each, a medley holds 3 s or more.
MOST = 20
# Of a minute, less than the smallest part of the largest is no sample.
_SHARES = 1e-6, 1e6
CLASS = "class:"


@dataclass(frozen=True)
class Style:
    """Recordings of one style, and the share of each."""

    places: tuple[Place, ...]
    shares: tuple[float, ...] = (1.0,)

    @property
    def is_single(self) -> bool:
        """Whether it is one recording, which is read as it is."""
        return len(self.places) == 1

    def plain(self) -> list[object]:
        """What it is known by."""
        return [[str(place) for place in self.places], list(self.shares)]


def style_of(texts: Sequence[str], shares: Sequence[float], manifest: Place = Path("x")) -> Style:
    """The style that texts name, each with its share; without shares, all count the same.

    A text is a file, an object (s3://bucket/key), a folder or prefix (s3://bucket/prefix/), or a
    class of a data set, `class:NAME@DATA`. The recordings directly in a folder, or of a class,
    divide its share; of more than `MOST`, as many are taken, evenly spread by name. manifest: what
    relative paths are relative to; by default, the current folder. Raises InputError.
    """
    if not 1 <= len(texts) <= MOST:
        raise InputError(f"style: has {len(texts)} recordings; 1 to {MOST} are accepted")
    if shares and len(shares) != len(texts):
        raise InputError(f"shares: has {len(shares)} numbers for {len(texts)} styles")
    places: list[Place] = []
    weights: list[float] = []
    for text, share in zip(texts, shares or [1.0] * len(texts), strict=True):
        several = _spread(_recordings(text, manifest), max(1, MOST // len(texts)))
        places += several
        weights += [share / len(several)] * len(several)
    total = sum(weights)
    return Style(tuple(places), tuple(weight / total for weight in weights))


def named_style(texts: Sequence[str], shares: object) -> Style:
    """`style_of` for arguments, shares as `shares_of` reads them. Raises InputError by name."""
    try:
        return style_of(texts, shares_of(shares))
    except InputError as error:
        named = str(error).startswith(("style: ", "shares: "))
        raise InputError(str(error) if named else f"style: {error}") from None


def shares_of(value: object) -> list[float]:
    """Shares as they are written: numbers with commas or blanks between them, or a list.

    Raises InputError.
    """
    if value in (None, ""):
        return []
    texts = value if isinstance(value, list) else re.split(r"[\s,]+", str(value).strip(" []"))
    try:
        # Numbers as in settings: decimal.
        numbers = [yaml_value(text) if isinstance(text, str) else text for text in texts]
        shares = [float(x) for x in numbers if isinstance(x, int | float) and x is not True]
    except (ValueError, OverflowError):
        shares = []
    least, most = _SHARES
    if len(shares) != len(texts) or not all(least <= x <= most for x in shares):
        raise InputError(
            f"shares: must be numbers from {least:f} to {most:.0f}, such as 0.7,0.3"
            f" (got {value!r:.80})"
        )
    return shares


def recording_of(style: Style, folder: Path) -> Place:
    """One recording of a style: its own, or a medley of several, which is written to `folder`.

    Raises InputError (AudioError) for a recording of several that cannot be used, and the errors
    of `Recordings`.
    """
    if style.is_single:
        return style.places[0]
    # Its name is what results and the report call the style.
    out = folder / digest_of(style.plain())[:16] / f"{len(style.places)}-recordings.flac"
    if not out.exists():
        # It takes numpy, which a command that is refused does without.
        from components.stylize.medley import write_medley

        with Recordings(folder / "styles") as recordings:
            local = recordings.local(style.places)
            with naming_objects({file: place for place, (file, _) in local.items()}):
                write_medley([local[place][0] for place in style.places], style.shares, out)
    return out


def _recordings(text: str, manifest: Place) -> list[Place]:
    """What a text names, never nothing."""
    if text.startswith(CLASS):
        return _of_class(text, manifest)
    text = as_place(text)
    if is_object(text):
        return _of_prefix(text) if text.endswith("/") else [text]
    place = beside(manifest, text)
    if is_object(place) or not Path(place).is_dir():
        return [place]
    from components.preprocess.datasets.base import recordings

    inside = recordings(Path(place))
    if not inside:
        raise InputError(f"{place}: is a folder with no recordings directly in it")
    return list(inside)


def _of_prefix(address: str) -> list[Place]:
    from components.preprocess.datasets.base import SUFFIXES

    bucket, prefix = split_s3(address)
    entries = open_store(f"s3://{bucket}").list(prefix)
    inside = (x.key for x in entries if "/" not in x.key.removeprefix(prefix))
    keys = sorted(key for key in inside if Path(key).suffix.lower() in SUFFIXES)
    if not keys:
        raise InputError(f"{address}: there are no recordings directly under this prefix")
    return [join_s3(bucket, key) for key in keys]


def _of_class(text: str, manifest: Place) -> list[Place]:
    name, at, data = _split_class(text.removeprefix(CLASS), manifest)
    place = beside(manifest, data) if data else ""
    if not (name and at and data) or is_object(place):
        raise InputError(
            f"{text:.200}: must be class:NAME@DATA, where DATA is a folder or manifest of"
            " recordings on this machine"
        )
    # It takes what reads data sets, which few calls need.
    from components.preprocess.data_set import sources_of

    listing = sources_of(Path(place))
    # Labels are in this form, whichever one a system has the names of their folders in.
    name = unicodedata.normalize("NFC", name)
    inside = sorted(listing.root / x.path for x in listing.sources if x.label == name)
    if not inside:
        classes = ", ".join(sorted({x.label for x in listing.sources}))
        raise InputError(f"{text:.200}: {place} has no class {name!r}; there are {classes:.300}")
    return list(inside)


def _split_class(text: str, manifest: Place) -> tuple[str, str, str]:
    """Name, @ and data: at the first @ before something that is there, or the very first."""
    splits = [(text[: sign.start()], "@", text[sign.end() :]) for sign in re.finditer("@", text)]
    for split in splits:
        place = beside(manifest, split[2]) if split[2] else ""
        if place and not is_object(place) and os.path.lexists(place):
            return split
    return splits[0] if splits else (text, "", "")


def _spread(places: list[Place], most: int) -> list[Place]:
    if len(places) <= most:
        return places
    return [places[len(places) * number // most] for number in range(most)]
