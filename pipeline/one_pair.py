"""One pair of recordings, from files or buckets to a file or bucket."""

import contextlib
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from audiostyle import files
from audiostyle.artifacts import CLASSIFIER, digest_of, opening
from audiostyle.audio import check_writable
from audiostyle.errors import InputError
from audiostyle.recordings import is_object, output_file, place_of
from audiostyle.store import open_store
from audiostyle.uris import split_object
from audiostyle.work_folder import claimed
from components.reconstruct.config import ReconstructConfig
from components.reconstruct.formats import check_content
from components.stylize.config import StylizeConfig
from pipeline.bulk.overlaps import is_inside, plain_address, same_file
from pipeline.styles import Place, Style, named_style, recording_of

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Request:
    """A pair and where its result goes: files, or s3:// addresses; of a style, one or several."""

    content: Place
    style: Style
    output: Place

    @classmethod
    def parse(cls, content: str, styles: Sequence[str], output: str, shares: str = "") -> "Request":
        """From texts of a command line; see `styles.style_of`. Raises InputError naming one."""
        style = named_style(styles, shares)
        return cls(place_of("content", content), style, place_of("output", output))

    def check(self) -> None:
        """Raise InputError for a recording that is missing, and an output that cannot be written.

        Reads no recording and writes nothing.
        """
        for name, place in (
            ("content", self.content),
            *(("style", place) for place in self.style.places),
        ):
            _check_recording(name, place)
            if _same(place, self.output):
                raise InputError(f"output: {self.output} is the {name}; give another name")
        if isinstance(self.output, str):
            open_store(split_object(self.output)[0]).check()
        else:
            _check_output(self.output)

    def form(self) -> str:
        """The format of the output: wav or flac."""
        return Path(str(self.output)).suffix[1:].lower()


def stylize_pair(
    request: Request,
    find: Callable[[Path], tuple[Path, str]],
    stylize_config: StylizeConfig,
    reconstruct_config: ReconstructConfig,
    workspace: Path,
) -> list[str]:
    """Stylize a pair; returns what went wrong with the result that is there all the same.

    find: puts a classifier into a folder, if it is in none; returns its folder and name. workspace:
    folder for what an interrupted call has finished. Raises InputError before the work for what
    can be known then.
    """
    request.check()
    check_writable(str(request.output), reconstruct_config.subtype)
    chosen = reconstruct_config.model_copy(update={"format": request.form()})
    if isinstance(request.content, Path):
        check_content(request.content, chosen)
    with tempfile.TemporaryDirectory(prefix="audiostyle-") as temporary:
        folder = Path(temporary)
        classifier, name = find(folder)
        if isinstance(request.output, Path) and is_inside(request.output, classifier):
            raise InputError(f"output: {request.output}: is in the folder of the model")
        opening(classifier, CLASSIFIER)
        # torch takes seconds to import, which all that is refused above does not wait for.
        from components.reconstruct.sound import tags_of, write_sound
        from components.stylize.fetch import fetched
        from components.stylize.pairs import Pair
        from components.stylize.session import Session
        from components.stylize.single import stylize_one

        session = Session(classifier)
        pairs = [Pair("result", request.content, recording_of(request.style, folder))]
        with (
            _unfinished(request, workspace, folder) as unfinished,
            fetched(pairs, unfinished) as local,
        ):
            paths = {role: Path(path) for role, path in local[0].recordings().items()}
            method, _ = session.method(stylize_config)
            content, style = (session.hear(path, method.spectrogram) for path in paths.values())
            stylized = stylize_one(
                content, style, session, stylize_config, name="result", work=unfinished
            )
            sources = {role: path.name for role, path in paths.items()}
            settings = {**stylized.settings, "model": name}
            with output_file(request.output, folder) as path:
                write_sound(
                    stylized.blocks,
                    stylized,
                    stylized.spectrogram,
                    chosen,
                    path,
                    tags_of(sources, settings, chosen),
                    folder,
                )
    if stylized.error:
        log.error("stylize: %s", stylized.error)
    return [stylized.error] if stylized.error else []


@contextmanager
def _unfinished(request: Request, workspace: Path, temporary: Path) -> Iterator[Path]:
    """The folder for windows that are finished. It stays after an error, which the log says.

    Where the workspace cannot be written it is in `temporary`, which goes with this call.
    """
    if not _is_writable(workspace):
        yield temporary / "unfinished"
        return
    single = request.style.is_single
    style = str(request.style.places[0]) if single else request.style.plain()
    key = digest_of([str(request.content), style, str(request.output)])
    try:
        with claimed(workspace / "unfinished" / key[:16]) as folder:
            try:
                yield folder
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                if size := sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()):
                    log.warning(
                        "%s: holds finished work (%.0f MB): give the same command again to resume,"
                        " or delete it",
                        *(folder, size / 1e6),
                    )
    finally:
        with contextlib.suppress(OSError):  # not empty: in use
            workspace.rmdir()


def _check_recording(name: str, place: Place) -> None:
    if is_object(place):
        bucket, key = split_object(str(place))
        if open_store(bucket).size(key) is None:
            raise InputError(f"{name}: {place}: there is no such object")
        return
    path = Path(place)
    try:
        if not path.is_file():
            reason = "is not a file" if path.exists() else "does not exist"
            raise InputError(f"{name}: {path}: {reason}")
        _require_text_name(name, path)
        if not os.access(path, os.R_OK):
            raise InputError(f"{name}: {path}: cannot be read: no permission")
    except (OSError, ValueError) as error:
        raise InputError(f"{name}: {path}: cannot be read: {error}") from None


def _check_output(path: Path) -> None:
    """Raise InputError for a file that cannot be written, with what can be known before."""
    _require_text_name("output", path)
    try:
        if path.is_symlink() or not os.path.lexists(path):
            pass  # a link is replaced, not followed
        elif path.is_dir():
            raise InputError(f"output: {path}: is a folder; give a file's name")
        elif not path.is_file():
            raise InputError(f"output: {path}: is no plain file, and is not replaced")
        folder = _nearest(path.absolute().parent)
        if not folder.is_dir():
            raise InputError(f"output: {path}: {folder} is not a folder")
        if not _is_writable(folder):
            raise InputError(f"output: {path}: {folder} cannot be written to: no permission")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"output: {path}: cannot be written: {reason}") from None


def _nearest(path: Path) -> Path:
    """The path, or the nearest one above it that is there."""
    return next(each for each in (path, *path.parents) if os.path.lexists(each))


def _is_writable(folder: Path) -> bool:
    """Whether files can be made in a folder, which may have to be made itself."""
    there = _nearest(folder.absolute())
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def _require_text_name(name: str, path: Path) -> None:
    if not files.has_text_name(path):
        raise InputError(f"{name}: {path}: has a name that is not UTF-8; rename it")


def _same(place: Place, output: Place) -> bool:
    """Whether two places are one recording, however they are written."""
    if isinstance(place, str) or isinstance(output, str):
        if not (isinstance(place, str) and isinstance(output, str)):
            return False
        return plain_address(place) == plain_address(output)
    return same_file(place, output) or os.path.realpath(place) == os.path.realpath(output)
