"""Where a task runs: its image, and what a cluster is asked for on its behalf."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kfp import dsl, kubernetes

from pipeline import images
from pipeline.cluster_config import ClusterConfig, TaskConfig


@dataclass(frozen=True)
class TaskSettings:
    """Puts tasks where they run.

    image: names the image of a stage. cluster: what Kubernetes is asked for; nothing without it,
    which is how a pipeline runs on one machine.
    """

    image: Callable[[str], str] = images.of
    cluster: ClusterConfig | None = None

    def apply(self, task: Any, stage: str, *, cached: bool = True) -> Any:
        """Give the task the image of its stage and its settings; returns the task.

        cached: whether kfp may take its outputs from an earlier task with the same image,
        command and inputs. The image counts by name, so it should be named by digest.
        """
        caching = cached and (self.cluster is None or self.cluster.caching)
        task.set_container_image(self.image(stage)).set_caching_options(caching)
        if self.cluster is not None:
            _apply(task, stage, self.cluster, self.cluster.task(task.component_spec.name))
        return task

    def pipeline_config(self) -> dsl.PipelineConfig | None:
        """Settings of a whole run."""
        if self.cluster is None or not self.cluster.run_limit:
            return None
        return dsl.PipelineConfig(active_deadline_seconds=self.cluster.run_limit)


def _apply(task: Any, stage: str, cluster: ClusterConfig, config: TaskConfig) -> None:
    _compute(task, config)
    if config.retries:
        task.set_retry(
            num_retries=config.retries,
            backoff_duration=config.retry_wait,
            backoff_factor=config.retry_factor,
            backoff_max_duration=f"{config.retry_window}s",
        )
    if config.time_limit:
        kubernetes.set_timeout(task, config.time_limit)
    for source in config.secrets:
        for keys in _keys(source.env):
            kubernetes.use_secret_as_env(task, source.name, keys, source.optional)
    for source in config.config_maps:
        for keys in _keys(source.env):
            kubernetes.use_config_map_as_env(task, source.name, keys, source.optional)
    for variable, value in sorted({**_patience(task), **config.environment}.items()):
        task.set_env_variable(variable, value)
    for volume in config.volumes:
        kubernetes.mount_pvc(task, pvc_name=volume.claim, mount_path=volume.path)
    labels = {
        "app.kubernetes.io/part-of": "audiostyle",
        "app.kubernetes.io/component": stage,
        **cluster.labels,
    }
    for key, value in sorted(labels.items()):
        kubernetes.add_pod_label(task, key, value)
    kubernetes.set_security_context(
        task,
        run_as_user=cluster.security.run_as_user,
        run_as_group=cluster.security.run_as_group,
        run_as_non_root=True,
    )


def _keys(env: dict[str, str]) -> list[dict[str, str]]:
    """Variables by keys, as kfp wants them: one mapping, and more where variables share a key."""
    mappings: list[dict[str, str]] = []
    for variable, key in env.items():
        for mapping in mappings:
            if key not in mapping:
                mapping[key] = variable
                break
        else:
            mappings.append({key: variable})
    return mappings


def _patience(task: Any) -> dict[str, str]:
    """How long a task asks S3 and MLflow again: some five minutes, since nobody repeats the task.

    Bulk tasks wait by themselves, and must see at once that their lock's store is away.
    """
    if task.component_spec.name in ("bulk", "join"):
        return {}
    return {"AWS_MAX_ATTEMPTS": "30", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "9"}


def _compute(task: Any, config: TaskConfig) -> None:
    for setting, value in (
        (task.set_cpu_request, config.cpu),
        (task.set_cpu_limit, config.cpu_limit),
        (task.set_memory_request, config.memory),
        (task.set_memory_limit, config.memory_limit),
    ):
        if value:
            setting(value)
    if config.gpu:
        task.set_accelerator_type(config.gpu_type).set_accelerator_limit(config.gpu)
    for key, value in sorted(config.node_selector.items()):
        kubernetes.add_node_selector(task, key, value)
    for toleration in config.tolerations:
        kubernetes.add_toleration(
            task,
            key=toleration.key or None,
            operator=toleration.operator,
            value=toleration.value or None,
            effect=toleration.effect or None,
        )
