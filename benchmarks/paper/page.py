"""docs/paper.md: tables, claims with their verdicts, figures, of every size that was run."""

from collections.abc import Sequence

from benchmarks.paper.claims import claims
from benchmarks.paper.results import Results, Row
from benchmarks.paper.systems import PAPER_TABLE, SHOWN
from components.stylize.config import StylizeConfig
from components.stylize.optimize import CHECK

_TITLES = {
    "full": "At the paper's size",
    "scaled": "Scaled down",
    "tiny": "Tiny, for tests and of no meaning",
}
_COMMANDS = {
    "full": "make paper PAPER_ARGS=--full",
    "scaled": "make paper",
    "tiny": "make paper PAPER_ARGS=--tiny",
}


def page(runs: Sequence[Results]) -> str:
    """The page in Markdown. runs: the largest size first, one at least."""
    return "\n".join(
        [
            "# The paper, reproduced",
            "",
            *_introduction(),
            *_sizes(runs),
            *_systems(runs),
            *_claims(runs),
            *_table_1(runs),
            *_figures(runs[0]),
            *_how(),
        ]
    )


def _introduction() -> list[str]:
    return [
        "This page is for researchers. Vedak and Bhatia, *Deep Audio Style Transfer*, compare three"
        " systems: `base` (three untrained 1-D convolutions, Adam), `shallow` (Ulyanov and Lebedev:"
        " one random layer), and `trained` (their own: the classifier's four layers). They ranked"
        " by ear and by spectrogram. They also discuss networks that others trained (see"
        " [networks.md](networks.md)). Here, six bundled pairs have a truth: the content's phrase,"
        " played by the style's instrument. Recordings have 3 s and one level; the classifier was"
        " trained on other instruments and soundfonts.",
        "",
    ]


def _sizes(runs: Sequence[Results]) -> list[str]:
    lines = ["`benchmarks/paper` wrote this page. Its figures are of these runs:", ""]
    for run in runs:
        steps = "the paper's iterations at most (in table 1, all of them)"
        if run.divisor > 1:
            steps = f"fewer and longer steps (in table 1, one for {run.divisor:,} of the paper's)"
        file = f"data/paper-{run.size}.json"
        lines.append(
            f"- **{_TITLES[run.size]}** (`{_COMMANDS[run.size]}`): {run.filters:,} filters in"
            f" `shallow`, and {steps}. [{file}]({file}) has the figures."
        )
    return [*lines, ""]


def _systems(runs: Sequence[Results]) -> list[str]:
    lines = ["## The systems", ""]
    for run in runs:
        lines += [
            f"### {_TITLES[run.size]}",
            "",
            "| system | start | steps taken (at most) | gain, mean | median | notes | timbre |"
            " chroma | CPU s a pair |",
            "|---|---|---:|---:|---:|---:|---:|---:|---:|",
            *(_system(row) for row in run.rows),
            "",
        ]
        if run.missing:
            text = "; ".join(run.missing)
            lines += [f"Not finished in this run, and so without figures: {text}.", ""]
        if run.note:
            lines += [run.note, ""]
    share = StylizeConfig.model_fields["tolerance"].default
    return [
        *lines,
        "steps: the mean over the pairs, and the most that a pair could take. Many rows end early:"
        f" a pair is finished when {CHECK} steps lower its loss by less than a share of {share:g}.",
        "",
        "gain: 0 for a copy of the content, 1 for the truth. notes: by how many notes BasicPitch's"
        " network hears the result differ from the truth, per frame. timbre: cosine distance of the"
        " mean MFCCs to the style clip's. chroma: similarity to the content's. CPU s: processor"
        " time of the stylization with one thread. (random): the weights were drawn, not trained.",
        "",
    ]


def _system(row: Row) -> str:
    most = f"{row.iterations:,}"
    steps = f"at most {most}" if row.steps is None else f"{row.steps:,.0f} ({most})"
    digits = {"gain_mean": 3, "gain_median": 3, "notes": 2, "timbre": 3, "chroma": 3, "seconds": 1}
    figures = (
        f"{row.figures[name]:.{count}f}" if name in row.figures else "not measured"
        for name, count in digits.items()
    )
    return f"| {' | '.join((row.system, row.start, steps, *figures))} |"


def _claims(runs: Sequence[Results]) -> list[str]:
    titles = [_TITLES[run.size].lower() for run in runs]
    largest, *smaller = titles
    lines = [
        "## Claims, one by one",
        "",
        "A claim holds by a measure if the means over the pairs are in its order. With six pairs,"
        " small differences mean little.",
        "",
        f"| {' | '.join(['claim', 'start', 'measure', 'figures', 'verdict', *smaller])} |",
        "|---" * (5 + len(smaller)) + "|",
    ]
    if smaller:
        lines[3:3] = ["", f"Figures and the first verdict are those {largest}, where it has any."]
    for claim, findings in claims(runs):
        figures = next(
            each.figures if title == largest else f"{each.figures} ({title})"
            for title, each in zip(titles, findings, strict=True)
            if each
        )
        verdicts = (f"**{each.verdict}**" if each else "no figures" for each in findings)
        cells = (claim.text, claim.start, claim.measure, figures, *verdicts)
        lines.append(f"| {' | '.join(cells)} |")
    return [
        *lines,
        "",
        "Claims about networks that others trained are about *trained* weights. A row with (random)"
        " does not test them; it shows what the architecture alone does. To test them, give the"
        " weights: `make paper PAPER_ARGS='--weights vgg19=FILE --weights soundnet=FILE'`.",
        "",
    ]


def _table_1(runs: Sequence[Results]) -> list[str]:
    lines = [
        "## Table 1: total loss of `shallow`",
        "",
        f"Adam from noise on the pair {SHOWN}. Other filters, clips, and levels give losses of"
        " another scale, so compare the fall: share is that of the loss in the first line.",
    ]
    head = ["iterations", "the paper's loss", "share"]
    for run in runs:
        head += [f"{_TITLES[run.size].lower()}, {run.filters:,} filters", "share"]
        if run.divisor > 1:
            lines[-1] += (
                f" {_TITLES[run.size]}, one step stands for {run.divisor:,} iterations and is"
                f" {run.divisor:,} times as long."
            )
        if len(run.table_1) < len(PAPER_TABLE):
            lines[-1] += f" {_TITLES[run.size]}, the table is not finished."
    lines += ["", f"| {' | '.join(head)} |", "|---:" * len(head) + "|"]
    first = min(PAPER_TABLE)
    for step, loss in PAPER_TABLE.items():
        cells = [f"{step:,}", f"{loss:.2f}", f"{loss / PAPER_TABLE[first]:.3f}"]
        for run in runs:
            value = run.table_1.get(step)
            if value is None:
                cells += ["not finished", ""]
            else:
                cells += [f"{value:.2f}", f"{value / run.table_1[first]:.3f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]


def _figures(largest: Results) -> list[str]:
    return [
        "## Figures",
        "",
        f"All show the pair {SHOWN}, of the run {_TITLES[largest.size].lower()}.",
        "",
        "![Spectrograms of content, style and truth](pictures/paper-spectrograms.png)",
        "",
        "*As figure 2: content, style, and what an ideal transfer would give.*",
        "",
        "![Loss of the classifier's training](pictures/paper-training.png)",
        "",
        "*As figure 3: the loss of the classifier's training, by epoch.*",
        "",
        "![Loss of the three systems](pictures/paper-losses.png)",
        "",
        "*As figure 4: the total loss of each system from content and from noise, as a share of"
        " where it began.*",
        "",
        "![Results of the systems](pictures/paper-systems.png)",
        "",
        "*As figure 5: the systems side by side.*",
        "",
    ]


def _how() -> list[str]:
    return [
        "## Run it",
        "",
        "    make paper",
        "    make paper PAPER_ARGS=--full",
        "",
        "The first takes minutes on a CPU, the second hours. Either can be interrupted at any time."
        " Every finished pair of a row, and every 250 steps of table 1, are files in"
        " `outputs/paper-scaled` or `outputs/paper-full` (`--state FOLDER`). The same command"
        " resumes from them and ends with the same table as an unbroken run. At its end, a run"
        " replaces the figures of its size in `docs/data` and writes this page from those of both"
        " sizes; the pictures are those of the larger size. With `--finished`, it computes nothing"
        " and writes the page of what there is. `--note TEXT` adds a remark to the run's table.",
        "",
    ]
