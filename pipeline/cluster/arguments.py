"""Arguments of a run on a cluster: checked for what pods can read, before anything is sent."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from audiostyle.errors import AudiostyleError, InputError
from audiostyle.store import open_store
from audiostyle.uris import file_path, object_name, require_no_secret, scheme_of, split_object
from components.preprocess.datasets import registry
from components.preprocess.extract import is_archive
from components.stylize.networks.weights import RANDOM, require_hash
from pipeline.settings import Settings


def data_arguments(
    chosen: Settings,
    data: str,
    version: str,
    mirror: str,
    tracking_uri: str,
    cache: str,
    checkpoints: str,
) -> dict[str, Any]:
    """Arguments of a pipeline that reads a data set. Raises InputError naming the argument."""
    if scheme_of(data) in ("s3", "https", "http"):
        if not is_archive(Path(object_name(data))):
            raise InputError(
                f"data: {data} is no archive: its name ends neither in .zip nor in .tar.…; a"
                " folder is read from a volume"
            )
    elif data not in registry.published():
        require_on_volume(
            chosen, "data", data, "preprocess", "a data set's name, an archive's address"
        )
    if mirror and scheme_of(mirror) not in ("s3", "https", "http"):
        raise InputError(f"from: must be an s3:// or https:// address (got {mirror!r})")
    cache = cache or chosen.preprocess.cache or chosen.cluster.cache
    if cache and scheme_of(cache) != "s3":
        require_on_volume(
            chosen, "cache", cache.removeprefix("file://"), "preprocess", "an s3:// address"
        )
    if checkpoints:
        require_on_volume(chosen, "checkpoints", checkpoints, "train", "")
    return {
        "data": data,
        "data_version": version,
        "mirror": mirror,
        "cache": cache,
        "checkpoints": checkpoints,
        "tracking_uri": tracking_address(chosen, tracking_uri),
    }


def visible_version(data: str) -> str:
    """What changes when data do, where this machine can see it; "" where it cannot.

    A published set is what the release's own hash says. An object of a bucket has a tag.
    """
    if data in registry.published():
        return "published"
    if scheme_of(data) != "s3" or not is_archive(Path(object_name(data))):
        return ""
    try:
        folder, key = split_object(data)
        return open_store(folder).tag(key) or ""
    except AudiostyleError:
        return ""


def check_model(model: str) -> None:
    """Raise InputError unless this names a registered classifier."""
    if not model or "/" in model.removeprefix("models:/").replace("audio-style-classifier/", ""):
        raise InputError(f"model: must be a version, an alias or a models:/ URI (got {model!r})")


def is_pinned(model: str) -> bool:
    """Whether it is the same classifier for ever."""
    return model.rpartition("/")[2].isdigit()


def check_pairs(chosen: Settings, pairs: str, work: str) -> None:
    """Raise InputError unless pods can read a list of pairs and write their work."""
    require_object_or_volume(chosen, "pairs", pairs, "stylize", "s3://bucket/NAME.csv")
    if work:
        require_on_volume(chosen, "work", work, "stylize", "")
    check_weights(chosen, "stylize")


def check_weights(chosen: Settings, task: str) -> None:
    """Raise InputError unless pods can read a network's weights, and know which are meant."""
    stylize = chosen.stylize
    if stylize.weights in (None, RANDOM):
        return
    place = str(stylize.weights)
    if scheme_of(place) == "file":
        place = str(file_path(place))
    form = "s3://bucket/NAME.safetensors"
    require_object_or_volume(chosen, "stylize.weights", place, task, form)
    require_hash(stylize)


def require_object_or_volume(chosen: Settings, name: str, value: str, task: str, form: str) -> None:
    """Raise InputError unless an argument is an object of a bucket or a path on a volume."""
    if scheme_of(value) != "s3":
        require_on_volume(chosen, name, value, task, form)
    elif not object_name(value):
        raise InputError(f"{name}: must be {form} (got {value!r})")


def require_on_volume(chosen: Settings, name: str, value: str, task: str, otherwise: str) -> None:
    """Raise InputError unless an argument is a path on a volume of a task."""
    mounts = [PurePosixPath(volume.path) for volume in chosen.cluster.task(task).volumes]
    path = PurePosixPath(value)
    inside = any(path.is_relative_to(mount) for mount in mounts) and ".." not in path.parts
    if not inside:
        there = ", ".join(map(str, mounts)) or "none is set"
        raise InputError(
            f"{name}: must be {otherwise}{' or ' if otherwise else ''}a path on a volume of"
            f" {task} ({there}); pods do not see this machine's files (got {value!r})"
        )


def tracking_address(chosen: Settings, uri: str) -> str:
    """The MLflow server of an option or the settings. Raises InputError where there is none."""
    uri = require_no_secret("tracking_uri", uri or chosen.cluster.tracking_uri)
    if not uri:
        raise InputError(
            "tracking_uri: is not set; give --tracking-uri, MLFLOW_TRACKING_URI or"
            " cluster.tracking_uri in the settings"
        )
    if scheme_of(uri) not in ("http", "https"):
        raise InputError(
            f"tracking_uri: must be the http(s):// address of an MLflow server that the pods"
            f" reach (got {uri!r})"
        )
    return uri


def texts(values: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Every text in arguments, and in the settings among them, with its name."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from ((f"{name}.{inner}", text) for inner, text in texts(value))
        elif isinstance(value, str):
            yield name, value
