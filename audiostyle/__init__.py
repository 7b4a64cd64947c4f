"""Audio style transfer: the content of one recording in the style of another.

    import audiostyle

    samples, rate = audiostyle.transfer("melody.wav", "guitar.flac")
    audiostyle.write("result.wav", samples, rate)

The names below are the library; docs/python.md shows them at work. Each is imported when it is
first used, so that `import audiostyle` takes no time, and a container image of one stage needs the
packages of that stage only.
"""

from importlib import import_module
from typing import Any

# Text, and not imports: the functions put stages together, which only the layers above may do.
# Inside the project nobody uses these names; its modules import each other as the layers allow.
_MODULES = {
    "AudiostyleError": "audiostyle.errors",
    "Classifier": "audiostyle.network",
    "InputError": "audiostyle.errors",
    "distance": "pipeline.library",
    "griffin_lim": "components.reconstruct.phase.retrieval",
    "magnitude": "pipeline.library",
    "read": "pipeline.library",
    "transfer": "pipeline.library",
    "write": "pipeline.library",
}

__all__ = [*_MODULES, "registry"]


def __getattr__(name: str) -> Any:
    """Import a name of the library. Raises ModuleNotFoundError that says what to install."""
    if name == "registry":
        return import_module("audiostyle.registry")
    if name not in _MODULES:
        raise AttributeError(f"module 'audiostyle' has no attribute {name!r}")
    try:
        value = getattr(import_module(_MODULES[name]), name)
    except ModuleNotFoundError as error:
        from audiostyle.extras import extra_of

        extra = extra_of(error.name or "") or "pipeline"
        raise ModuleNotFoundError(
            f"audiostyle.{name} needs {error.name}; `pip install 'audiostyle[{extra}]'` installs"
            " it",
            name=error.name,
        ) from None
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
