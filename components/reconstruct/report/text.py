"""Numbers and settings as text for people."""

import math
from collections.abc import Mapping

MINUS = "\N{MINUS SIGN}"


def flatten(settings: Mapping[str, object], prefix: str = "") -> dict[str, str]:
    """Settings as text, nested ones by dotted name."""
    flat: dict[str, str] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}.")
        elif isinstance(value, float):
            flat[f"{prefix}{name}"] = f"{value:.6g}"
        elif isinstance(value, list | tuple):
            flat[f"{prefix}{name}"] = ", ".join(str(part) for part in value)
        else:
            flat[f"{prefix}{name}"] = str(value)
    return flat


def number(value: float) -> str:
    """A number with the digits that a reader can use; "n/a" where there is none."""
    if not math.isfinite(value):
        return "n/a"
    size = abs(value)
    if value == int(value) and size < 1e9:
        text = f"{int(value):,}"
    elif size >= 1000:
        text = f"{value:,.0f}" if size < 1e9 else f"{value:.3g}"
    elif size >= 100:
        text = f"{value:.1f}"
    elif size >= 1:
        text = f"{value:.2f}"
    else:
        text = f"{value:.3f}" if size >= 0.01 else f"{value:.2g}"
    return text.replace("-", MINUS, 1) if value < 0 else text


def percent(share: float) -> str:
    """A share in [0, 1] as a percentage with one decimal."""
    return f"{100 * share:.1f} %" if math.isfinite(share) else "n/a"


def duration(seconds: float) -> str:
    """A length in minutes, seconds or milliseconds."""
    if seconds >= 60:
        return f"{int(seconds) // 60} min {seconds % 60:.0f} s"
    return f"{seconds:.2f} s" if seconds >= 0.1 else f"{seconds * 1000:.0f} ms"
