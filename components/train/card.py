"""The model card of a version (Mitchell 2019): what it is of, what it is worth, what it is for."""

from collections import Counter
from typing import Any

from audiostyle import artifacts
from audiostyle.network_config import NetworkConfig
from audiostyle.spectrogram_set import SPLITS, SpectrogramSet

# Beyond this many classes the card has the best and the worst alone.
_MOST_CLASSES = 60


def write(opened: artifacts.Artifact, metrics: dict[str, Any], clips: SpectrogramSet) -> str:
    """The card in Markdown.

    opened: the classifier. metrics: its own. clips: the spectrogram set that it was trained on.
    """
    return "\n".join(
        [
            "# audio-style-classifier",
            "",
            summary(opened, metrics, clips),
            "",
            "## Data",
            "",
            *_data(clips),
            "",
            "## Protocol",
            "",
            *_protocol(opened, metrics, clips),
            "",
            "## Worth",
            "",
            *_worth(metrics["test"]),
            "",
            "## Intended use",
            "",
            f"Its activations (`conv1` … `{_last_layer(opened)}`) guide style transfer between"
            " recordings; its classes tell sounds like those above apart. It takes linear STFT"
            f" magnitudes [batch, {clips.spectrogram.bins} bins,"
            f" {clips.spectrogram.clip_frames} frames] of recordings at"
            f" {clips.spectrogram.sample_rate} Hz, and gives a logit for each class,"
            " in alphabetical order.",
            "",
            "## Limits",
            "",
            "- Every clip is given one of its classes, also one that is of none of them.",
            "- What holds on the test split holds for recordings made like it; other rooms,"
            " microphones or instruments were not measured.",
            "- Measured on single clips, not on streams.",
            "- Not for decisions about people.",
            "",
            "## License",
            "",
            f"Trained on recordings under: {licenses(clips)}. What that means for the weights is"
            " for whoever passes them on to judge. The code is under the Apache License 2.0.",
            "",
        ]
    )


def _last_layer(opened: artifacts.Artifact) -> str:
    return NetworkConfig.parse(opened.config["train"]["network"], opened.folder).taps[-1]


def summary(opened: artifacts.Artifact, metrics: dict[str, Any], clips: SpectrogramSet) -> str:
    """One sentence: classes, data, accuracy beside chance."""
    test = metrics["test"]
    return (
        f"Tells {len(test['per_class'])} classes of {_name(clips)} apart with a balanced accuracy"
        f" of {test['balanced_accuracy']:.3f} (accuracy {test['accuracy']:.3f}, chance"
        f" {test['chance']:.3f}) on {test['clips']} clips that it was not trained on; a"
        f" {opened.config['train']['network']['representation']} spectrogram network of"
        f" {metrics['parameters']} parameters."
    )


def _name(clips: SpectrogramSet) -> str:
    about = clips.artifact.config.get("data", {})
    return str(about.get("name") or "an unnamed data set")


def _data(clips: SpectrogramSet) -> list[str]:
    about = clips.artifact.config.get("data", {})
    labels = Counter(clip.label for clip in clips.clips)
    groups = len({clip.group for clip in clips.clips})
    return [
        f"- {_name(clips)}, layout `{about.get('layout', 'unknown')}`: {len(clips.clips)} clips of"
        f" {clips.spectrogram.clip_seconds} s, {groups} groups, {len(labels)} classes",
        f"- Classes: {', '.join(f'{name} ({count})' for name, count in sorted(labels.items()))}",
        f"- Spectrogram set: SHA-256 `{clips.digest}`",
    ]


def _protocol(
    opened: artifacts.Artifact, metrics: dict[str, Any], clips: SpectrogramSet
) -> list[str]:
    fold = opened.config.get("fold")
    how = f"fold {fold} tests, a tenth of the others validates" if fold else "the data set's splits"
    counts = ", ".join(f"{metrics['clips'][split]} {split}" for split in SPLITS)
    config = opened.config["train"]
    return [
        f"- {how}: {counts} clips; groups are kept together",
        f"- Stopped by the validation loss after {len(metrics['history'])} of at most"
        f" {config['epochs']} epochs, weights of epoch {metrics['best_epoch']}; the test split was"
        " looked at once, at the end",
        f"- Seed {config['seed']}, from scratch, no data from elsewhere",
    ]


def _worth(test: dict[str, Any]) -> list[str]:
    classes = sorted(test["per_class"].items(), key=lambda item: item[1]["recall"])
    if len(classes) > _MOST_CLASSES:
        classes = [*classes[:10], *classes[-10:]]
    return [
        f"- Accuracy {test['accuracy']:.3f}, balanced {test['balanced_accuracy']:.3f}, chance"
        f" {test['chance']:.3f}",
        f"- Expected calibration error {test['ece']:.3f}",
        "",
        "| class | precision | recall | test clips |",
        "|---|---|---|---|",
        *(
            f"| {name} | {one['precision']:.3f} | {one['recall']:.3f} | {one['clips']} |"
            for name, one in classes
        ),
    ]


def licenses(clips: SpectrogramSet) -> str:
    """Licenses of the recordings, each with how many clips are under it."""
    counts = Counter(
        clip.licence or "a license that the data set does not state" for clip in clips.clips
    )
    return ", ".join(f"{name} ({count} clips)" for name, count in counts.most_common())
