"""What a method heard, in words: what content and style are, and what the result is made of.

A method says it in numbers from 0 to 1, by name; means over a recording's windows become lines.
"""

from collections.abc import Mapping, Sequence

# What recordings are, by the names that methods use.
_SORTS = {
    "voice": "one voice or instrument at a time",
    "voices": "chords, or several voices",
    "beats": "beats",
    "speech": "speech",
    "texture": "noise, a texture, or an effect",
}
# What results are made of.
_PARTS = {
    "content": "the content as it is",
    "bands": "the content with the style's levels in each band",
    "envelopes": "the content under the style's envelopes from like moments",
    "notes": "the style's own sound, moved to the content's pitch",
    "voices": "the style's own sound at several pitches at once",
    "beats": "the style's hits, each where the content has one most like it",
    "speech": "the content's words in another voice",
    "texture": "the style itself, laid beside the content under its levels",
}
_SURE, _NAMED = 0.7, 0.1


def mean_of(windows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Of a recording, from what was heard in each of its windows."""
    names = dict.fromkeys(name for window in windows for name in window)
    return {name: sum(x.get(name, 0.0) for x in windows) / len(windows) for name in names}


def lines_of(heard: Mapping[str, float]) -> str:
    """Lines for people; empty where nothing was said.

    heard: `content.SORT`, `style.SORT` and `result.PART`, each from 0 to 1.
    """
    if not heard:
        return ""
    content, style, result = (_under(heard, role) for role in ("content", "style", "result"))
    lines = [f"Content: {_sorts(content)}.", f"Style: {_sorts(style)}."]
    ranked = sorted(result, key=lambda name: -result[name])
    parts = [f"{_percent(result[x])} {_PARTS[x]}" for x in ranked if result[x] >= _NAMED]
    lines.append(f"Result: {'; '.join(parts)}.")
    if reason := _reason(content, style, result):
        lines.append(reason)
    return "\n".join(lines)


def _under(heard: Mapping[str, float], role: str) -> dict[str, float]:
    return {
        name.removeprefix(f"{role}."): value
        for name, value in heard.items()
        if name.startswith(f"{role}.")
    }


def _sorts(sorts: Mapping[str, float]) -> str:
    first, second = sorted(sorts, key=lambda name: -sorts[name])[:2]
    if sorts[first] >= _SURE:
        return f"{_SORTS[first]} ({_percent(sorts[first])} sure)"
    both = (f"{_SORTS[name]} ({_percent(sorts[name])})" for name in (first, second))
    return f"not clear: {' or '.join(both)}"


def _reason(
    content: Mapping[str, float], style: Mapping[str, float], result: Mapping[str, float]
) -> str:
    """Why, in a sentence; empty where the parts say enough."""
    if content["speech"] > 0.5:
        if style["speech"] > 0.5:
            return "The words stay; pitch, vocal tract and tone become the style speaker's."
        return "The words and their pitch stay: the style has no voice to take. Its tone changes."
    if result["texture"] > 0.3:
        return "The notes stay, because the style has none that could answer them."
    if result["content"] + result["bands"] > 0.7:
        return "Little of the style answers this content, so the content keeps most of its sound."
    return ""


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
