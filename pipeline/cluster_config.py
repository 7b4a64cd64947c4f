"""The section `cluster` of the settings: where pipelines run, and what each task is given there.

Nothing secret is in it. Tokens are read from a file or the environment, and what tasks need comes
from Kubernetes secrets, by name.
"""

import re
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, StringConstraints, field_validator, model_validator

from audiostyle.config import Config
from audiostyle.errors import InputError
from audiostyle.stages import STAGES
from audiostyle.uris import require_remote, scheme_of

TaskName = Literal[
    "preprocess",
    "check-changes",
    "train",
    "register",
    "current-champion",
    "fetch",
    "stylize",
    "reconstruct",
    "attach-report",
    "bulk",
    "join",
]

_Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$")]
_Variable = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
_Key = Annotated[str, StringConstraints(pattern=r"^[-._a-zA-Z0-9]{1,253}$")]
_LabelKey = Annotated[
    str,
    StringConstraints(
        pattern=r"^([a-z0-9][-a-z0-9.]*/)?[A-Za-z0-9]([-._A-Za-z0-9]{0,61}[A-Za-z0-9])?$"
    ),
]
_LabelValue = Annotated[
    str, StringConstraints(pattern=r"^([A-Za-z0-9]([-._A-Za-z0-9]{0,61}[A-Za-z0-9])?)?$")
]
_Cpu = Annotated[str, StringConstraints(pattern=r"^([0-9]+(\.[0-9]+)?|[0-9]+m)?$")]
_Memory = Annotated[str, StringConstraints(pattern=r"^([0-9]+(\.[0-9]+)?([KMGT]i?)?)?$")]
_Duration = Annotated[str, StringConstraints(pattern=r"^[0-9]+[smh]$")]

# Tasks that compute on a GPU where they are given one. Griffin-Lim is no such task: a GPU that
# waited for it would stand idle for most of a run.
_ON_GPU = tuple(name for name, stage in STAGES.items() if stage.gpu)
_MONTH = 30 * 24 * 3600  # seconds
_START = 3600  # seconds that a pod may wait for its node and image
_SECRET = re.compile(r"SECRET|PASSWORD|TOKEN|ACCESS_KEY|CREDENTIAL", re.IGNORECASE)


class ConnectionSettings(Config):
    """The Kubeflow Pipelines server, and who asks."""

    host: str = Field(
        "",
        description="address of the API, e.g. https://kubeflow.example/pipeline",
        json_schema_extra={"envvar": "KF_PIPELINES_ENDPOINT", "metavar": "URL"},
    )
    ui: str = Field(
        "",
        description="address of the web interface, if it is not the API's",
        json_schema_extra={"envvar": "KF_PIPELINES_UI_ENDPOINT", "metavar": "URL"},
    )
    namespace: str = Field(
        "",
        description="namespace of the runs, if the server has many users",
        json_schema_extra={"envvar": "AUDIOSTYLE_KFP_NAMESPACE", "metavar": "NAME"},
    )
    token_file: str = Field(
        "",
        description="file with a bearer token, read again when the token expires; or set"
        " AUDIOSTYLE_KFP_TOKEN",
        json_schema_extra={"envvar": "AUDIOSTYLE_KFP_TOKEN_FILE", "metavar": "FILE"},
    )
    ca_file: str = Field(
        "",
        description="PEM file of certificates to check the server with",
        json_schema_extra={"envvar": "AUDIOSTYLE_KFP_CA_FILE", "metavar": "FILE"},
    )

    @model_validator(mode="before")
    @classmethod
    def _no_token(cls, values: Any) -> Any:
        if isinstance(values, dict) and "token" in values:
            raise InputError(
                "cluster.connection.token: settings hold no tokens; use token_file, or the"
                " variable AUDIOSTYLE_KFP_TOKEN"
            )
        return values

    @field_validator("host", "ui")
    @classmethod
    def _address(cls, value: str) -> str:
        if not value:
            return value
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must be an http:// or https:// address")
        if parts.username or parts.password:
            # Of our own kind, as the message of a ValueError would show the value.
            raise InputError("cluster.connection: host must hold no password: use token_file")
        return value.rstrip("/")


class Source(Config):
    """Keys of one Kubernetes Secret or ConfigMap as environment variables."""

    name: _Name
    env: dict[_Variable, _Key] = Field(description="variable: key in the Secret or ConfigMap")
    optional: bool = Field(False, description="start even where it is not there")


class Volume(Config):
    """A persistent volume claim that a task sees as a folder."""

    claim: _Name
    path: Annotated[str, StringConstraints(pattern=r"^/[^:]+$")]


class Toleration(Config):
    """A taint of nodes that a task may run on nevertheless."""

    key: str = ""
    operator: Literal["Equal", "Exists"] = "Equal"
    value: str = ""
    effect: Literal["", "NoSchedule", "PreferNoSchedule", "NoExecute"] = ""


class Security(Config):
    """Who the process in a pod is."""

    run_as_user: int = Field(10001, ge=1, description="uid; 0 would be root")
    run_as_group: int = Field(0, ge=0, description="gid; the images are made for group 0")


class TaskConfig(Config):
    """What one task is given. CPU and memory in Kubernetes' own words: 500m, 4Gi."""

    cpu: _Cpu = Field("1", description="request")
    cpu_limit: _Cpu = Field("", description="limit; none by default")
    memory: _Memory = Field("2Gi", description="request")
    memory_limit: _Memory = Field("", description="limit; none by default")
    gpu: Literal[0, 1, 2, 4, 8, 16] = Field(0, description="how many; train and stylize only")
    gpu_type: str = Field("nvidia.com/gpu", description="resource that the nodes offer")
    node_selector: dict[_LabelKey, _LabelValue] = Field({}, description="labels of the node")
    tolerations: tuple[Toleration, ...] = ()
    retries: int = Field(2, ge=0, le=10, description="further attempts after a failure")
    retry_wait: _Duration = Field("30s", description="before the first of them")
    retry_factor: int = Field(2, ge=1, le=10, description="by which the wait grows; a whole number")
    time_limit: int = Field(0, ge=0, description="seconds that a pod may live; 0: no limit")
    secrets: tuple[Source, ...] = Field((), description="Kubernetes secrets as environment")
    config_maps: tuple[Source, ...] = Field((), description="config maps as environment")
    environment: dict[_Variable, str] = Field({}, description="plain variables, nothing secret")
    volumes: tuple[Volume, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _no_window(cls, values: Any) -> Any:
        if isinstance(values, dict) and "retry_most" in values:
            raise InputError(
                "cluster: retry_most: was taken for the longest wait, and is the window for all"
                " attempts, which is computed now: leave it out"
            )
        return values

    @property
    def retry_window(self) -> int:
        """Seconds from the start of the first attempt to the end of the last, at the most.

        Argo lets no attempt begin after this, and ends the one that runs. Without a time limit it
        is a month.
        """
        if not self.time_limit:
            return _MONTH
        first = int(self.retry_wait[:-1]) * {"s": 1, "m": 60, "h": 3600}[self.retry_wait[-1]]
        waits: int = sum(first * pow(self.retry_factor, n) for n in range(self.retries))
        # Pods wait for a node and an image, too, which counts.
        return min(_MONTH, (self.retries + 1) * (self.time_limit + _START) + waits)

    @field_validator("environment")
    @classmethod
    def _plain(cls, value: dict[str, str]) -> dict[str, str]:
        if secrets := [name for name in value if _SECRET.search(name)]:
            raise InputError(
                f"cluster: environment: {secrets[0]} belongs into a Kubernetes secret: use secrets"
            )
        for name, text in value.items():
            require_remote(f"cluster: environment: {name}", text)
        return value


# What the tasks ask for by default fits a node of two CPUs beside Kubeflow's own pods. It is a
# share and no limit: a task uses what else the node has. Where nodes are large, asking for more
# keeps tasks apart; what is right has to be measured on the data and the nodes at hand.
_DEFAULTS: dict[str, TaskConfig] = {
    "preprocess": TaskConfig(cpu="500m", memory="2Gi", time_limit=6 * 3600),
    "check-changes": TaskConfig(cpu="200m", memory="1Gi", time_limit=1800),
    "train": TaskConfig(cpu="500m", memory="2Gi", time_limit=24 * 3600),
    "register": TaskConfig(cpu="500m", memory="2Gi", time_limit=3600),
    "current-champion": TaskConfig(cpu="100m", memory="256Mi", time_limit=1800),
    "fetch": TaskConfig(cpu="200m", memory="1Gi", time_limit=1800),
    "stylize": TaskConfig(cpu="500m", memory="2Gi", time_limit=24 * 3600),
    "reconstruct": TaskConfig(cpu="500m", memory="2Gi", time_limit=24 * 3600),
    "attach-report": TaskConfig(cpu="200m", memory="1Gi", time_limit=3600),
    # A process a core, of 0.9 GB each as measured (docs/bulk.md), and what they keep beyond that.
    "bulk": TaskConfig(cpu="1", memory="2Gi", time_limit=24 * 3600),
    "join": TaskConfig(cpu="500m", memory="2Gi", time_limit=3600),
}


# Whose section a task is given before its own: what writes to MLflow needs the same password.
_LIKE = {"attach-report": "register"}


class ClusterConfig(Config):
    """The section `cluster`."""

    connection: ConnectionSettings = ConnectionSettings()
    experiment: str = Field(
        "audiostyle",
        min_length=1,
        max_length=128,
        description="experiment of the runs",
        json_schema_extra={"metavar": "NAME"},
    )
    pipeline_root: str = Field(
        "",
        description="s3://bucket/prefix for the outputs; by default the namespace's",
        json_schema_extra={"metavar": "URI"},
    )
    service_account: str = Field(
        "",
        description="service account of the pods; by default the server's",
        json_schema_extra={"metavar": "NAME"},
    )
    tracking_uri: str = Field("", description="MLflow's address as the pods reach it")
    cache: str = Field("", description="URI of the spectrogram cache as the pods reach it")
    caching: bool = Field(True, description="whether kfp may take outputs of earlier tasks")
    labels: dict[_LabelKey, _LabelValue] = Field({}, description="of every pod")
    run_limit: int = Field(0, ge=0, description="seconds that a whole run may take; 0: no limit")
    security: Security = Security()
    every: TaskConfig = Field(TaskConfig(), description="what every task is given")
    tasks: dict[TaskName, TaskConfig] = Field({}, description="what one task is given instead")

    @field_validator("pipeline_root")
    @classmethod
    def _root(cls, value: str) -> str:
        if value and scheme_of(value) not in ("s3", "gs", "minio"):
            raise ValueError("must be an s3://, gs:// or minio:// address")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _gpus(self) -> "ClusterConfig":
        if self.every.gpu:
            raise ValueError("every.gpu: only train and stylize use a GPU; set it in tasks")
        for name, task in self.tasks.items():
            if task.gpu and name not in _ON_GPU:
                raise ValueError(f"tasks.{name}.gpu: only train and stylize use a GPU")
        return self

    def task(self, name: str) -> TaskConfig:
        """What a task is given: its own section over `every` over the defaults, field by field.

        attach-report is given what register is, too, below its own section.
        """
        layers = [_DEFAULTS[name], self.every]
        for section in (_LIKE.get(name), name):
            layers += [config for task, config in self.tasks.items() if task == section]
        values = {k: getattr(layer, k) for layer in layers for k in layer.model_fields_set}
        return TaskConfig(**values)
