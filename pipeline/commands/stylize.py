"""`audiostyle stylize`: one pair of recordings, or all of a manifest."""

import contextlib
import shutil
import tempfile
from pathlib import Path
from typing import Any

import click

from audiostyle.command import Command
from audiostyle.errors import AudiostyleError
from audiostyle.terminal import say
from components.stylize.config import StylizeConfig
from pipeline.commands.bulk import Request, bulk
from pipeline.commands.bulk import options as bulk_options
from pipeline.commands.options import TRACKING, WORKSPACE, overridden, registry_uri, setting_options


@click.command(cls=Command)
@click.argument("content", required=False, type=click.Path(path_type=Path))
@click.argument("style", required=False, type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="File to write, .wav or .flac."
)
@bulk_options
@setting_options(StylizeConfig, "method", "init", "style_weight", "iterations", "optimizer", "seed")
@click.option(
    "--model", default="champion", show_default=True, help="Version, alias, URI or folder."
)
@click.option("--config", type=click.Path(path_type=Path), help="YAML with settings of the stages.")
@WORKSPACE
@TRACKING
def stylize(
    content: Path | None,
    style: Path | None,
    output: Path | None,
    model: str,
    config: Path | None,
    workspace: Path,
    tracking_uri: str | None,
    **given: Any,
) -> None:
    """Give CONTENT the style of STYLE, or do so for every row of a manifest.

    The same command goes on where an interrupted one was. Exits with 1 where items of a manifest
    were set aside.
    """
    from audiostyle import artifacts, audio
    from components.reconstruct.reconstruct import publish, reconstruct
    from components.stylize.pairs import Pair
    from components.stylize.stylize import stylize as run_stage
    from pipeline import settings

    request = Request.taken(given)
    if content is None or style is None or output is None:
        if content or style or output or not request.many:
            raise click.UsageError(
                "give CONTENT STYLE -o OUT.wav, or --manifest FILE (or --contents GLOB --styles"
                " GLOB) --out URI"
            )
        chosen = settings.load(config)
        bulk(
            request,
            overridden(chosen.stylize, given),
            chosen.reconstruct,
            lambda folder: _model(model, registry_uri(workspace, tracking_uri), folder),
            workspace,
        )
        return
    if not request.nothing:
        raise click.UsageError("CONTENT STYLE -o OUT.wav takes no option of a manifest's")
    chosen = settings.load(config)
    audio.check_writable(output, chosen.reconstruct.subtype)
    pairs = [Pair("result", content, style)]
    style_settings = overridden(chosen.stylize, given)
    key = artifacts.digest_of([str(x) for x in (content, style, output)])
    # Kept until the results are where they belong, so that no step that stops costs the others.
    unfinished = workspace / "unfinished" / key[:16]
    with tempfile.TemporaryDirectory(prefix="audiostyle-") as temporary:
        folder = Path(temporary)
        classifier, name = _model(model, registry_uri(workspace, tracking_uri), folder)
        stylized = folder / "stylized"
        errors = run_stage(pairs, classifier, stylized, style_settings, name, unfinished, keep=True)
        form = output.suffix[1:].lower()
        made = chosen.reconstruct.model_copy(update={"format": form})
        reconstruct(stylized, folder / "audio", made, report=False)
        publish(folder / "audio", output.parent, {f"result.{form}": output.name})
    shutil.rmtree(unfinished, ignore_errors=True)
    with contextlib.suppress(OSError):  # others' work, or a workspace in use
        unfinished.parent.rmdir()
        workspace.rmdir()
    say(output)
    if errors:
        raise AudiostyleError("; ".join(errors))


def _model(reference: str, tracking_uri: str, folder: Path) -> tuple[Path, str]:
    """Folder and name of a classifier: a folder as it is, anything else from the registry."""
    if Path(reference).is_dir():
        return Path(reference), Path(reference).name
    from audiostyle.registry import Registry

    registry = Registry(tracking_uri)
    found = registry.find(reference)
    return registry.download(found, folder / "model"), found.uri
