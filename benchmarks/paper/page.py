"""docs/paper.md: tables, claims with their verdicts, figures."""

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.paper.systems import PAPER_TABLE, PAPERS, SHOWN, Size, System

Summary = Mapping[System, Mapping[str, float]]

# Name of a measure, which way is better, and in words.
_MEASURES = (
    ("gain_mean", 1, "mean gain, more is better"),
    ("notes", -1, "notes, less is better"),
    ("timbre", -1, "timbre, less is better"),
    ("chroma", 1, "chroma, more is better"),
)


@dataclass(frozen=True)
class Results:
    """A run's figures. summary: of each system, means over pairs; table: table 1."""

    size: Size
    summary: Summary
    table: dict[int, float]

    def value(self, name: str, start: str, measure: str) -> float | None:
        """Of a system; None where it is no part of the run, or the measure is not installed."""
        for system, row in self.summary.items():
            if (system.name, system.start) == (name, start):
                return row.get(measure)
        return None


def page(results: Results) -> str:
    """The page in Markdown."""
    size = results.size
    what = {
        "full": "It was run at the paper's size (`make paper PAPER_ARGS=--full`): 4,096 filters in"
        " `shallow`, and the paper's iterations in table 1.",
        "scaled": "**It was run scaled down for a CPU**: fewer and longer steps (the tables say"
        f" how many; in table 1 a tenth of the paper's, each ten times as long), and"
        f" {size.filters} filters instead of 4,096 in `shallow`. `make paper PAPER_ARGS=--full`"
        " runs at the paper's size; see the end of the page.",
    }.get(size.name, f"Size {size.name}: for tests, and of no meaning.")
    return "\n".join(
        [
            "# The paper, reproduced",
            "",
            "This page is for researchers. `make paper` wrote it (`benchmarks/paper`), and every"
            f" figure is of that run. {what}",
            "",
            *_introduction(),
            *_systems(results),
            *_claims(results),
            *_table_1(results),
            *_figures(),
            *_how(),
        ]
    )


def _introduction() -> list[str]:
    return [
        "Vedak and Bhatia, *Deep Audio Style Transfer*, compare three systems: `base` (three"
        " untrained 1-D convolutions, Adam), `shallow` (Ulyanov and Lebedev: one random layer), and"
        " `trained` (their own: the classifier's four layers). They ranked by ear and by"
        " spectrogram. They also discuss networks that others trained (see"
        " [networks.md](networks.md)). Here, six bundled pairs have a truth: the content's phrase,"
        " played by the style's instrument. Recordings have 3 s and one level; the classifier was"
        " trained on other instruments and soundfonts.",
        "",
    ]


def _systems(results: Results) -> list[str]:
    lines = [
        "## The systems",
        "",
        "| system | start | steps | gain, mean | median | notes | timbre | chroma | CPU s a pair |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for system, row in results.summary.items():
        notes = f"{row['notes']:.2f}" if "notes" in row else "not measured"
        lines.append(
            f"| {system.name} | {system.start} | {system.settings['iterations']:,} |"
            f" {row['gain_mean']:.3f} | {row['gain_median']:.3f} | {notes} |"
            f" {row['timbre']:.3f} | {row['chroma']:.3f} | {row['seconds']:.1f} |"
        )
    missing = [one.label for one in results.size.systems if one not in results.summary]
    if missing:
        text = "; ".join(missing)
        lines += ["", f"Not finished in this run, and so without figures: {text}."]
    return [
        *lines,
        "",
        "gain: 0 for a copy of the content, 1 for the truth. notes: by how many notes BasicPitch's"
        " network hears the result differ from the truth, per frame. timbre: cosine distance of the"
        " mean MFCCs to the style clip's. chroma: similarity to the content's. CPU s: processor"
        " time of the stylization with one thread. (random): the weights were drawn, not trained.",
        "",
    ]


def _claims(results: Results) -> list[str]:
    lines = [
        "## Claims, one by one",
        "",
        "A claim holds by a measure if the means over the pairs are in its order. With six pairs,"
        " small differences mean little.",
        "",
        "| claim | start | measure | figures | verdict |",
        "|---|---|---|---|---|",
    ]
    for start in ("content", "noise"):
        lines += _ordered(results, "trained > shallow > base (the paper)", PAPERS, start)
    lines += _starts(results)
    random = ("shallow", "soundnet (random)", "vgg19 (random)")
    text = "shallow > SoundNet > VGG-19 (Grinstein et al.), networks random"
    lines += _ordered(results, text, random, "content")
    text = "AlexNet trained on instruments, with envelopes (Verma and Smith) > trained (the paper)"
    for start in ("content", "noise"):
        lines += _ordered(results, text, ("verma-smith", "trained"), start)
    text = "VGG-19 does not work on audio (the paper): trained > VGG-19, random"
    lines += _ordered(results, text, ("trained", "vgg19 (random)"), "content")
    weighted = ("shallow", "soundnet", "vgg19")
    text = "shallow > SoundNet > VGG-19 (Grinstein et al.), weights given"
    lines += _ordered(results, text, weighted, "content")
    text = "VGG-19 does not work on audio (the paper): trained > VGG-19, weights given"
    lines += _ordered(results, text, ("trained", "vgg19"), "content")
    lines += _fall(results)
    return [
        *lines,
        "",
        "Claims about networks that others trained are about *trained* weights. A row with (random)"
        " does not test them; it shows what the architecture alone does. To test them, give the"
        " weights: `make paper PAPER_ARGS='--weights vgg19=FILE --weights soundnet=FILE'`.",
        "",
    ]


def _ordered(results: Results, claim: str, names: tuple[str, ...], start: str) -> list[str]:
    """A line for each measure that all of these systems have."""
    lines = []
    for measure, better, words in _MEASURES:
        values = {name: results.value(name, start, measure) for name in names}
        known = {name: value for name, value in values.items() if value is not None}
        if len(known) < len(names):
            continue
        ranked = sorted(known, key=lambda name: -better * known[name])
        figures = ", ".join(f"{name} {known[name]:.3f}" for name in ranked)
        verdict = "holds" if tuple(ranked) == names else "does not hold"
        lines.append(f"| {claim} | {start} | {words} | {figures} | **{verdict}** |")
    return lines


def _starts(results: Results) -> list[str]:
    """Whether the content is the better start, by what of the content remains."""
    lines = []
    for name in PAPERS:
        for measure, better, words in _MEASURES[:1] + _MEASURES[3:]:
            values = [results.value(name, start, measure) for start in ("content", "noise")]
            content, noise = values
            if content is None or noise is None:
                continue
            verdict = "holds" if better * (content - noise) > 0 else "does not hold"
            lines.append(
                f"| {name}: the content is a better start than noise | both | {words} |"
                f" content {content:.3f}, noise {noise:.3f} | **{verdict}** |"
            )
    return lines


def _fall(results: Results) -> list[str]:
    if len(results.table) < len(PAPER_TABLE):
        return []
    first, last = (results.table[step] for step in (min(PAPER_TABLE), max(PAPER_TABLE)))
    paper = PAPER_TABLE[max(PAPER_TABLE)] / PAPER_TABLE[min(PAPER_TABLE)]
    share = last / first
    if share >= 1:
        verdict = "does not hold"
    elif share <= paper * 1.1:
        verdict = "holds"
    else:
        verdict = "holds in part: it falls, but by less"
    return [
        "| the loss goes on falling from 10,000 to 20,000 iterations (table 1) | noise |"
        f" loss at 20,000 as a share of that at 10,000 | here {share:.3f}, the paper"
        f" {paper:.3f} | **{verdict}** |"
    ]


def _table_1(results: Results) -> list[str]:
    size, table = results.size, results.table
    lines = [
        "## Table 1: total loss of `shallow`",
        "",
        f"Adam from noise on the pair {SHOWN}, {size.filters:,} filters. Other filters, clips, and"
        " levels give losses of another scale, so compare the fall.",
        "",
        "| iterations | here | share of the first | the paper's | share of the first |",
        "|---:|---:|---:|---:|---:|",
    ]
    paper_first = PAPER_TABLE[min(PAPER_TABLE)]
    if not table:
        return [*lines[:3], f"Not finished in this run, with {size.filters:,} filters.", ""]
    first = table[min(PAPER_TABLE)]
    for step, value in table.items():
        lines.append(
            f"| {step // size.steps:,} | {value:.2f} | {value / first:.3f} |"
            f" {PAPER_TABLE[step]:.2f} at {step:,} | {PAPER_TABLE[step] / paper_first:.3f} |"
        )
    return [*lines, ""]


def _figures() -> list[str]:
    return [
        "## Figures",
        "",
        f"All show the pair {SHOWN}.",
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
        "## At the paper's size",
        "",
        "    make paper PAPER_ARGS=--full",
        "",
        "This takes hours on a CPU and can be interrupted at any time. Every finished pair of a"
        " row, and every 250 steps of table 1, are files in `outputs/paper-full`"
        " (`--state FOLDER`). The same command resumes from them and ends with the same table as"
        " an unbroken run. It does"
        " not write this page before everything is finished; with `--finished`, it computes nothing"
        " and writes the page of what there is.",
        "",
    ]
