"""The bundled pairs, stylized with the bundled classifier, as a page to hear and see."""

import tempfile
import webbrowser
from pathlib import Path

from audiostyle import artifacts, bundled
from audiostyle.errors import ArtifactError, InputError
from pipeline.run_display import Display

_TITLE = "Demo of audiostyle"


def make(out: Path, display: Display) -> Path:
    """Stylize the bundled pairs into a folder; returns the report page.

    out: an earlier demo that is there is replaced. Raises InputError where anything else is in
    the way, and where the pairs are not installed.
    """
    _check(out)
    # torch takes seconds to import, which a refusal does not wait for.
    from components.reconstruct.config import ReconstructConfig
    from components.reconstruct.reconstruct import reconstruct
    from components.stylize.config import StylizeConfig
    from components.stylize.pairs import read_pairs
    from components.stylize.stylize import stylize

    manifest = bundled.pairs()
    if not manifest.is_file():
        raise InputError(
            f"pairs: {manifest}: the bundled pairs are missing from this installation; install"
            " audiostyle again, or take examples/instruments/pairs from the repository"
        )
    pairs = read_pairs(str(manifest))
    classifier = bundled.classifier()
    with tempfile.TemporaryDirectory(prefix="audiostyle-") as temporary:
        stylized = Path(temporary) / "stylized"
        with display.stage("stylize"):
            stylize(pairs, classifier, stylized, StylizeConfig(), bundled.CLASSIFIER_NAME)
        with display.stage("reconstruct"):
            config = ReconstructConfig(title=_TITLE)
            reconstruct(stylized, out, config, classifier)
    return out / "report.html"


def _check(out: Path) -> None:
    """Raise InputError where something is in the way that is not a demo."""
    if not out.is_symlink() and (not out.exists() or (out.is_dir() and not any(out.iterdir()))):
        return
    try:
        about = artifacts.opening(out, artifacts.AUDIO_SET).config["reconstruct"]
        if about["title"] == _TITLE and not out.is_symlink():
            return
    except (ArtifactError, KeyError, TypeError):
        pass
    raise InputError(f"out: {out}: is in the way: not the folder of an earlier demo; name another")


def show(page: Path) -> bool:
    """Open a page in the browser; returns whether there is one."""
    return webbrowser.open(page.resolve().as_uri())
