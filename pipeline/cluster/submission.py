"""What is sent to a cluster: a compiled pipeline and its arguments, checked before anything is."""

import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml
from kfp import compiler

from audiostyle.errors import AudiostyleError, InputError
from audiostyle.files import write_text
from audiostyle.manifest import is_manifest
from audiostyle.store import open_store
from audiostyle.uris import object_name, require_no_secret, require_remote, scheme_of, split_object
from components.preprocess.datasets import registry
from components.preprocess.extract import is_archive
from components.stylize.pairs import read_pairs
from pipeline import images
from pipeline.bulk.config import BulkConfig
from pipeline.cluster.compact import compact
from pipeline.definitions import bulk_stylization, end_to_end, stylization, training
from pipeline.settings import Settings


@dataclass(frozen=True)
class Submission:
    """A pipeline, its arguments, and the stages whose images it runs."""

    pipeline: Any
    arguments: dict[str, Any]
    stages: tuple[str, ...]

    @property
    def name(self) -> str:
        """The pipeline's name."""
        return str(self.pipeline.name)

    def check(self) -> None:
        """Raise InputError for an argument that the pipeline does not know, or lacks."""
        known = self.pipeline.component_spec.inputs
        if unknown := sorted(set(self.arguments) - set(known)):
            raise InputError(f"{self.name}: has no parameter {unknown[0]!r}")
        needed = {name for name, spec in known.items() if not spec.optional}
        if missing := sorted(needed - set(self.arguments)):
            raise InputError(f"{self.name}: lacks the parameter {missing[0]!r}")
        for name, value in _texts(self.arguments):
            require_remote(name, require_no_secret(name, value))

    def mutable_images(self) -> list[str]:
        """Images that are named by a tag, whose content may change under the name."""
        return [name for name in map(images.of, self.stages) if "@sha256:" not in name]

    @contextmanager
    def package(self) -> Iterator[Path]:
        """The pipeline as kfp's IR YAML, for as long as this lasts."""
        with tempfile.TemporaryDirectory(prefix="audiostyle-") as folder:
            path = Path(folder) / "pipeline.yaml"
            compiled(self.pipeline, path)
            yield path


def compiled(pipeline: Any, path: Path) -> None:
    """Write a pipeline as kfp's IR YAML."""
    with warnings.catch_warnings():
        # kfp warns that parameters of pipelines have mutable defaults: its own way.
        warnings.simplefilter("ignore")
        compiler.Compiler().compile(pipeline, str(path))
    spec, *platform = yaml.safe_load_all(path.read_text(encoding="utf-8"))
    compact(spec)
    write_text(path, yaml.safe_dump_all([spec, *platform], sort_keys=False))


def training_submission(
    chosen: Settings,
    *,
    data: str,
    data_version: str = "",
    mirror: str = "",
    tracking_uri: str = "",
    cache: str = "",
    checkpoints: str = "",
    if_changed: bool = False,
) -> Submission:
    """Train on a data set and register. Raises InputError naming the argument."""
    return Submission(
        training.build(cluster=chosen.cluster, data_known=bool(data_version)),
        {
            **_data(chosen, data, data_version, mirror, tracking_uri, cache, checkpoints),
            "if_changed": if_changed,
            **chosen.arguments("preprocess", "train", "gate"),
        },
        ("preprocess", "train"),
    )


def end_to_end_submission(
    chosen: Settings,
    *,
    data: str,
    pairs: str,
    data_version: str = "",
    pairs_version: str = "",
    mirror: str = "",
    tracking_uri: str = "",
    cache: str = "",
    checkpoints: str = "",
    work: str = "",
) -> Submission:
    """Train, register, stylise. Raises InputError naming the argument."""
    _check_pairs(chosen, pairs, work)
    return Submission(
        end_to_end.build(
            cluster=chosen.cluster,
            data_known=bool(data_version),
            pairs_known=bool(pairs_version),
        ),
        {
            **_data(chosen, data, data_version, mirror, tracking_uri, cache, checkpoints),
            "pairs": pairs,
            "work": work,
            "pairs_version": pairs_version,
            **chosen.arguments(),
        },
        tuple(images.STAGES),
    )


def stylization_submission(
    chosen: Settings,
    *,
    pairs: str,
    pairs_version: str = "",
    model: str = "champion",
    tracking_uri: str = "",
    shards: int = 1,
    parallelism: int = 4,
    work: str = "",
) -> Submission:
    """Stylise with a registered classifier. Raises InputError naming the argument."""
    _check_pairs(chosen, pairs, work)
    _check_model(model)
    local = Path(pairs)
    if local.is_file() and shards > (rows := len(read_pairs(local))):
        raise InputError(f"shards: {pairs} has {rows} rows, too few for {shards} tasks")
    return Submission(
        stylization.build(
            cluster=chosen.cluster,
            pairs_known=bool(pairs_version),
            pinned=_pinned(model),
            shards=shards,
            parallelism=parallelism,
        ),
        {
            "pairs": pairs,
            "work": work,
            "model": model,
            "tracking_uri": _tracking(chosen, tracking_uri),
            "pairs_version": pairs_version,
            **_shard_settings(chosen),
        },
        ("train", "stylize", "reconstruct"),
    )


def bulk_submission(
    chosen: Settings,
    *,
    manifest: str,
    out: str,
    how: dict[str, Any],
    model: str = "champion",
    tracking_uri: str = "",
    shards: int = 1,
    parallelism: int = 4,
    work: str = "",
) -> Submission:
    """A bulk job. how: fields of BulkConfig. Raises InputError naming the argument."""
    if not is_manifest(manifest):
        raise InputError(f"manifest: must end in .csv, .jsonl, .yaml or .yml (got {manifest!r})")
    for task in ("bulk", "join"):
        _object_or_volume(chosen, "manifest", manifest, task, "s3://bucket/NAME.csv")
        _object_or_volume(chosen, "out", out, task, "s3://bucket/prefix")
    if work:
        _on_volume(chosen, "work", work, "bulk", "")
    _check_model(model)
    if chosen.stylize.device.startswith("cuda"):
        raise InputError(
            "stylize.device: a bulk job's tasks do both stages, and have no GPU to hold for"
            f" Griffin-Lim (got {chosen.stylize.device!r}); --pairs has tasks for GPUs"
        )
    # A pod sees all the node's cores; what it may use of them is what it asked for.
    given = chosen.cluster.task("bulk")
    workers = max(1, int(_cores(given.cpu_limit or given.cpu)))
    config = BulkConfig.parse({"workers": workers, **how}, "options")
    return Submission(
        bulk_stylization.build(
            cluster=chosen.cluster, pinned=_pinned(model), shards=shards, parallelism=parallelism
        ),
        {
            "manifest": manifest,
            "out": out,
            "work": work,
            "model": model,
            "tracking_uri": _tracking(chosen, tracking_uri),
            "bulk_config": {
                "workers": workers,
                **config.model_dump(mode="json", exclude_defaults=True),
            },
            **_shard_settings(chosen),
        },
        ("train", "reconstruct"),
    )


# What each kind of run is made by.
BUILDERS: dict[str, Callable[..., Submission]] = {
    "train": training_submission,
    "run": end_to_end_submission,
    "stylization": stylization_submission,
    "bulk": bulk_submission,
}


def _shard_settings(chosen: Settings) -> dict[str, Any]:
    """Settings of stylize and reconstruct, as far as they are no defaults: each shard repeats them.

    Which defaults these are, the image decides, which is named by its digest.
    """
    values = chosen.model_dump(mode="json", exclude_defaults=True)
    return {f"{name}_config": values.get(name, {}) for name in ("stylize", "reconstruct")}


def _cores(text: str) -> float:
    """Cores of what Kubernetes is asked for: 4, 0.5, 500m."""
    return float(text[:-1]) / 1000 if text.endswith("m") else float(text or 1)


def _check_model(model: str) -> None:
    if not model or "/" in model.removeprefix("models:/").replace("audio-style-classifier/", ""):
        raise InputError(f"model: must be a version, an alias or a models:/ URI (got {model!r})")


def _pinned(model: str) -> bool:
    """Whether it is the same classifier for ever."""
    return model.rpartition("/")[2].isdigit()


def _data(
    chosen: Settings,
    data: str,
    version: str,
    mirror: str,
    tracking_uri: str,
    cache: str,
    checkpoints: str,
) -> dict[str, Any]:
    if scheme_of(data) in ("s3", "https", "http"):
        if not is_archive(Path(object_name(data))):
            raise InputError(
                f"data: {data} is no archive: its name ends neither in .zip nor in .tar.…; a"
                " folder is read from a volume"
            )
    elif data not in registry.published():
        _on_volume(chosen, "data", data, "preprocess", "a data set's name, an archive's address")
    if mirror and scheme_of(mirror) not in ("s3", "https", "http"):
        raise InputError(f"from: must be an s3:// or https:// address (got {mirror!r})")
    cache = cache or chosen.preprocess.cache or chosen.cluster.cache
    if cache and scheme_of(cache) != "s3":
        _on_volume(chosen, "cache", cache.removeprefix("file://"), "preprocess", "an s3:// address")
    if checkpoints:
        _on_volume(chosen, "checkpoints", checkpoints, "train", "")
    return {
        "data": data,
        "data_version": version,
        "mirror": mirror,
        "cache": cache,
        "checkpoints": checkpoints,
        "tracking_uri": _tracking(chosen, tracking_uri),
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


def _check_pairs(chosen: Settings, pairs: str, work: str) -> None:
    _object_or_volume(chosen, "pairs", pairs, "stylize", "s3://bucket/NAME.csv")
    if work:
        _on_volume(chosen, "work", work, "stylize", "")


def _object_or_volume(chosen: Settings, name: str, value: str, task: str, form: str) -> None:
    if scheme_of(value) != "s3":
        _on_volume(chosen, name, value, task, form)
    elif not object_name(value):
        raise InputError(f"{name}: must be {form} (got {value!r})")


def _tracking(chosen: Settings, given: str) -> str:
    uri = require_no_secret("tracking_uri", given or chosen.cluster.tracking_uri)
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


def _on_volume(chosen: Settings, name: str, value: str, task: str, otherwise: str) -> None:
    mounts = [PurePosixPath(volume.path) for volume in chosen.cluster.task(task).volumes]
    path = PurePosixPath(value)
    inside = any(path.is_relative_to(mount) for mount in mounts) and ".." not in path.parts
    if not inside:
        there = ", ".join(map(str, mounts)) or "none is set"
        raise InputError(
            f"{name}: must be {otherwise}{' or ' if otherwise else ''}a path on a volume of"
            f" {task} ({there}); pods do not see this machine's files (got {value!r})"
        )


def _texts(values: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Every text in arguments, and in the settings among them, with its name."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from ((f"{name}.{inner}", text) for inner, text in _texts(value))
        elif isinstance(value, str):
            yield name, value
