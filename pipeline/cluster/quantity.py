"""Quantities of Kubernetes: CPUs, memory, accelerators."""

_UNITS = {"": 1, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_UNITS |= {f"{unit}i": 2 ** (10 * power) for power, unit in enumerate("KMGT", 1)}


def quantity(text: str) -> float:
    """A quantity of Kubernetes, in its unit: 500m, 4, 16Gi, 1500000Ki."""
    number = text.rstrip("mKMGTi")
    unit = text[len(number) :]
    if not number:
        return 0.0
    return float(number) / 1000 if unit == "m" else float(number) * _UNITS.get(unit, 1)
