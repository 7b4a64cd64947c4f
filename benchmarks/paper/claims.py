"""The claims of the paper and of those it cites, by what measure each holds in which run."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.paper.results import Results
from benchmarks.paper.systems import PAPER_TABLE, PAPERS

# Name of a measure, which way is better, and in words.
_MEASURES = (
    ("gain_mean", 1, "mean gain, more is better"),
    ("notes", -1, "notes, less is better"),
    ("timbre", -1, "timbre, less is better"),
    ("chroma", 1, "chroma, more is better"),
)
_SHALLOW_BEST = "shallow > SoundNet > VGG-19 (Grinstein et al.)"
_NO_VGG = "VGG-19 does not work on audio (the paper): trained > VGG-19"
_VERMA_SMITH = (
    "AlexNet trained on instruments, with envelopes (Verma and Smith) > trained (the paper)"
)
# A claim, its start, and the systems in the order that it states.
_ORDERS = (
    ("trained > shallow > base (the paper)", "content", PAPERS),
    ("trained > shallow > base (the paper)", "noise", PAPERS),
    (
        f"{_SHALLOW_BEST}, networks random",
        "content",
        ("shallow", "soundnet (random)", "vgg19 (random)"),
    ),
    (_VERMA_SMITH, "content", ("verma-smith", "trained")),
    (_VERMA_SMITH, "noise", ("verma-smith", "trained")),
    (f"{_NO_VGG}, random", "content", ("trained", "vgg19 (random)")),
    (f"{_SHALLOW_BEST}, weights given", "content", ("shallow", "soundnet", "vgg19")),
    (f"{_NO_VGG}, weights given", "content", ("trained", "vgg19")),
)


@dataclass(frozen=True)
class Claim:
    """A claim by one measure."""

    text: str
    start: str
    measure: str


@dataclass(frozen=True)
class Finding:
    """What a run says of a claim."""

    figures: str
    verdict: str


def claims(runs: Sequence[Results]) -> list[tuple[Claim, list[Finding | None]]]:
    """Every claim that a run has the figures for, and what each run says, None if it has not."""
    findings = [dict(_findings(run)) for run in runs]
    stated = {claim: None for each in findings for claim in each}
    return [(claim, [each.get(claim) for each in findings]) for claim in stated]


def _findings(results: Results) -> Iterator[tuple[Claim, Finding]]:
    yield from _ordered(results, *_ORDERS[0])
    yield from _ordered(results, *_ORDERS[1])
    yield from _starts(results)
    for order in _ORDERS[2:]:
        yield from _ordered(results, *order)
    yield from _fall(results)


def _ordered(
    results: Results, text: str, start: str, names: tuple[str, ...]
) -> Iterator[tuple[Claim, Finding]]:
    """By each measure that all of these systems have."""
    for measure, better, words in _MEASURES:
        values = {name: results.value(name, start, measure) for name in names}
        known = {name: value for name, value in values.items() if value is not None}
        if len(known) < len(names):
            continue
        ranked = sorted(known, key=lambda name: -better * known[name])
        figures = ", ".join(f"{name} {known[name]:.3f}" for name in ranked)
        verdict = "holds" if tuple(ranked) == names else "does not hold"
        yield Claim(text, start, words), Finding(figures, verdict)


def _starts(results: Results) -> Iterator[tuple[Claim, Finding]]:
    """Whether the content is the better start, by what of the content remains."""
    for name in PAPERS:
        for measure, better, words in _MEASURES[:1] + _MEASURES[3:]:
            content, noise = (results.value(name, start, measure) for start in ("content", "noise"))
            if content is None or noise is None:
                continue
            text = f"{name}: the content is a better start than noise"
            verdict = "holds" if better * (content - noise) > 0 else "does not hold"
            figures = f"content {content:.3f}, noise {noise:.3f}"
            yield Claim(text, "both", words), Finding(figures, verdict)


def _fall(results: Results) -> Iterator[tuple[Claim, Finding]]:
    if len(results.table_1) < len(PAPER_TABLE):
        return
    first, last = (results.table_1[step] for step in (min(PAPER_TABLE), max(PAPER_TABLE)))
    paper = PAPER_TABLE[max(PAPER_TABLE)] / PAPER_TABLE[min(PAPER_TABLE)]
    share = last / first
    if share >= 1:
        verdict = "does not hold"
    elif share <= paper * 1.1:
        verdict = "holds"
    else:
        verdict = "holds in part: it falls, but by less"
    text = "the loss goes on falling from 10,000 to 20,000 iterations (table 1)"
    measure = "loss at 20,000 as a share of that at 10,000"
    yield (
        Claim(text, "noise", measure),
        Finding(f"here {share:.3f}, the paper {paper:.3f}", verdict),
    )
