"""`audiostyle stylize`: one pair of recordings, or all of a manifest."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from audiostyle.command import Command
from audiostyle.options import overlay, setting_options
from audiostyle.terminal import say, say_error
from components.stylize.config import StylizeConfig
from pipeline.classifiers import classifier_of
from pipeline.commands.answers import Answer, answering
from pipeline.commands.bulk import BulkRequest, bulk
from pipeline.commands.bulk import options as bulk_options
from pipeline.commands.options import QUIET, TRACKING, WORKSPACE

if TYPE_CHECKING:  # it imports what the smallest installation lacks
    from components.reconstruct.config import ReconstructConfig


@click.command(cls=Command, short_help="Stylize one pair, or every row of a manifest.")
@click.argument("content", required=False)
@click.argument("style", required=False)
@click.option("-o", "--output", metavar="FILE", help="Result, .wav or .flac; a file or s3://.")
@click.option(
    "--style",
    "more_styles",
    metavar="STYLE",
    multiple=True,
    help="One more STYLE of the same result; may be repeated.",
)
@click.option(
    "--shares",
    default="",
    metavar="LIST",
    help="What each STYLE counts for, in order, such as 0.7,0.3. [default: all the same]",
)
@bulk_options
@setting_options(
    StylizeConfig,
    "method",
    "strength",
    "transpose",
    "init",
    "style_weight",
    "iterations",
    "optimizer",
    "seed",
    "network",
    "weights",
    "weights_sha256",
)
@click.option(
    "--model",
    help="Version, alias, URI or folder. [default: the champion, or else the bundled classifier]",
)
@click.option("--config", type=click.Path(path_type=Path), help="YAML with settings of the stages.")
@answering("stylize")
@QUIET
@WORKSPACE
@TRACKING
def stylize(
    content: str | None,
    style: str | None,
    output: str | None,
    more_styles: tuple[str, ...],
    shares: str,
    model: str | None,
    config: Path | None,
    workspace: Path,
    tracking_uri: str | None,
    **options: Any,
) -> Answer:
    """Give CONTENT the style of STYLE, or do so for every row of a manifest.

    Recordings are files or s3:// addresses. STYLE may also be a folder of recordings, or a class
    of a data set: class:NAME@DATA. A file whose name begins with "class:" is ./class:….

    A file at -o is replaced. So are files in --out with the name of an output: ID.wav (or ID.flac),
    results.jsonl, report.html and the other files of the report. An input recording is never
    replaced: if an output would take its place, the command refuses to start (exit code 2).

    Give the same command again to resume an interrupted one. The exit code is 1 if items of a
    manifest were set aside.
    """
    request = BulkRequest.take(options)

    def find(folder: Path) -> tuple[Path, str]:
        return classifier_of(model, workspace, tracking_uri, folder)

    styles = (*((style,) if style else ()), *more_styles)
    request = replace(request, style=styles if content is None else (), shares=shares)
    if content is None or not styles or output is None:
        if content or style or output or not request.is_complete:
            raise click.UsageError(
                "give CONTENT STYLE -o OUT.wav, or --manifest FILE (or --contents GLOB --styles"
                " GLOB, or --style STYLE) --out URI"
            )
        stylize_config, reconstruct_config = _settings(config, options)
        return bulk(request, stylize_config, reconstruct_config, find, workspace)
    if not replace(request, shares="").is_empty:
        raise click.UsageError("CONTENT STYLE -o OUT.wav takes no option of a manifest's")
    from pipeline.one_pair import Request, stylize_pair

    pair = Request.parse(content, styles, output, shares)
    pair.check()
    stylize_config, reconstruct_config = _settings(config, options)
    models: list[str] = []

    def find_and_note(folder: Path) -> tuple[Path, str]:
        place, name = find(folder)
        models.append(name)
        return place, name

    errors = stylize_pair(pair, find_and_note, stylize_config, reconstruct_config, workspace)
    value = {"kind": "pair", "output": str(pair.output), "model": models[-1], "errors": errors}
    return Answer(value, partial(_show, pair.output, errors), 1 if errors else 0)


def _show(output: Path | str, errors: list[str]) -> None:
    say(output)
    for error in errors:
        say_error("stylize", error)


def _settings(
    config: Path | None, options: dict[str, str | None]
) -> tuple[StylizeConfig, "ReconstructConfig"]:
    """Settings of both stages. Without a file, what other stages need is not imported."""
    if config is None:
        from components.reconstruct.config import ReconstructConfig

        stylize, reconstruct = overlay(StylizeConfig(), options), ReconstructConfig()
    else:
        from pipeline import settings

        chosen = settings.load(config)
        stylize, reconstruct = overlay(chosen.stylize, options), chosen.reconstruct
    if stylize.weights:
        from components.stylize.networks.weights import pinned

        stylize = pinned(stylize)
    return stylize, reconstruct
