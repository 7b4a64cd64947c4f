"""The compiled pipelines: they load back, and every task is what it should be, where it should."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from google.protobuf import json_format
from kfp import components as kfp_components
from kfp.kubernetes import kubernetes_executor_config_pb2
from kfp.pipeline_spec import pipeline_spec_pb2

from audiostyle.errors import InputError
from components.stylize.pairs import Pair, shard_of
from pipeline import images
from pipeline.cli import main
from pipeline.cluster.api import package_digest
from pipeline.cluster.submission import compiled
from pipeline.cluster_config import ClusterConfig
from pipeline.definitions import bulk_stylization, end_to_end, stylization, training
from pipeline.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
TRAINING = {"preprocess", "train", "register"}
PIPELINES = {
    "end_to_end": {*TRAINING, "stylize", "reconstruct", "attach-report"},
    "training": {*TRAINING, "check-changes", "current-champion"},
    "stylization": {"fetch", "stylize", "reconstruct"},
    "bulk_stylization": {"fetch", "bulk", "join"},
}
# Task: stage whose image it runs in, input artifacts, output artifacts.
TASKS = {
    "preprocess": ("preprocess", set(), {"spectrograms"}),
    "check-changes": ("train", {"spectrograms"}, set()),
    "train": ("train", {"spectrograms"}, {"classifier", "metrics", "confusion"}),
    "register": ("train", {"spectrograms", "classifier"}, set()),
    "current-champion": ("train", set(), set()),
    "fetch": ("train", set(), {"classifier"}),
    "stylize": ("stylize", {"classifier"}, {"stylized"}),
    "reconstruct": (
        "reconstruct",
        {"stylized", "classifier"},
        {"audio", "report", "metrics", "excerpt"},
    ),
    "attach-report": ("train", {"excerpt"}, set()),
    "bulk": ("reconstruct", {"classifier"}, {"metrics"}),
    "join": ("reconstruct", {"classifier"}, {"report", "metrics"}),
}
NEVER_CACHED = {"register", "attach-report", "check-changes", "fetch", "bulk", "join"}

S3 = {"name": "audiostyle-s3", "env": {"AWS_SECRET_ACCESS_KEY": "secret_key"}}
CLUSTER = {
    "run_limit": 86400,
    "labels": {"team": "sound"},
    "every": {
        "retries": 3,
        "retry_wait": "1m",
        "config_maps": [{"name": "ends", "env": {"A": "b"}}],
    },
    "tasks": {
        "preprocess": {"secrets": [S3], "volumes": [{"claim": "data", "path": "/data"}]},
        "stylize": {
            "cpu": "500m",
            "cpu_limit": "2",
            "memory": "3Gi",
            "memory_limit": "6Gi",
            "gpu": 1,
            "gpu_type": "nvidia.com/gpu",
            "node_selector": {"nvidia.com/gpu.product": "L4"},
            "tolerations": [
                {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
            ],
            "time_limit": 1234,
            "environment": {"OMP_NUM_THREADS": "2"},
            "retries": 0,
        },
    },
}


class Compiled:
    """A compiled pipeline: its tasks wherever they are, what they run and what they are given."""

    def __init__(self, path: Path) -> None:
        # Both load: into kfp's own component, and into the published message types.
        self.loaded = kfp_components.load_component_from_file(str(path))
        documents = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
        self.spec = documents[0]
        json_format.ParseDict(self.spec, pipeline_spec_pb2.PipelineSpec())
        self.platform: dict[str, Any] = {}
        if len(documents) > 1:
            json_format.ParseDict(documents[1], pipeline_spec_pb2.PlatformSpec())
            self.platform = documents[1]["platforms"]["kubernetes"]
            for config in self.platform["deploymentSpec"]["executors"].values():
                # A field that this version of the platform does not know is an error here.
                json_format.ParseDict(
                    config, kubernetes_executor_config_pb2.KubernetesExecutorConfig()
                )

    def tasks(self) -> dict[str, dict[str, Any]]:
        found = {}
        for dag in (self.spec["root"], *self.spec["components"].values()):
            for name, task in dag.get("dag", {}).get("tasks", {}).items():
                if "executorLabel" in self.component(task):
                    found[name] = task
        return found

    def component(self, task: dict[str, Any]) -> dict[str, Any]:
        component: dict[str, Any] = self.spec["components"][task["componentRef"]["name"]]
        return component

    def container(self, name: str) -> dict[str, Any]:
        label = self.component(self.tasks()[name])["executorLabel"]
        container: dict[str, Any] = self.spec["deploymentSpec"]["executors"][label]["container"]
        return container

    def kubernetes(self, name: str) -> dict[str, Any]:
        label = self.component(self.tasks()[name])["executorLabel"]
        config: dict[str, Any] = self.platform["deploymentSpec"]["executors"][label]
        return config


def built(pipeline: Any, folder: Path) -> Compiled:
    compiled(pipeline, folder / "pipeline.yaml")
    return Compiled(folder / "pipeline.yaml")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Compiled]:
    folder = tmp_path_factory.mktemp("compiled")
    settings = folder / "settings.yaml"
    settings.write_text(yaml.safe_dump({"cluster": CLUSTER}))
    out = folder / "out"
    result = CliRunner().invoke(main, ["compile", "--out", str(out), "--config", str(settings)])
    assert result.exit_code == 0, result.output
    assert {p.name for p in out.iterdir()} == {f"{name}.yaml" for name in PIPELINES}
    return {name: Compiled(out / f"{name}.yaml") for name in PIPELINES}


@pytest.mark.parametrize("name", PIPELINES)
def test_tasks(written: dict[str, Compiled], name: str) -> None:
    made = written[name]
    assert made.loaded.pipeline_spec.pipeline_info.name == f"audiostyle-{name.replace('_', '-')}"
    tasks = made.tasks()
    assert set(tasks) == PIPELINES[name]
    for task in tasks:
        stage, inputs, outputs = TASKS[task]
        component = made.component(tasks[task])
        assert set(component.get("inputDefinitions", {}).get("artifacts", {})) == inputs
        assert set(component.get("outputDefinitions", {}).get("artifacts", {})) == outputs
        container = made.container(task)
        assert container["image"] == images.of(stage)
        assert "pip install" not in " ".join(container["command"])
        # Every input is wired: from another task, or from a parameter of the pipeline.
        wired = tasks[task]["inputs"]
        assert set(wired.get("artifacts", {})) == inputs
        parameters = component["inputDefinitions"].get("parameters", {})
        needed = {key for key, spec in parameters.items() if not spec.get("isOptional")}
        assert needed <= set(wired.get("parameters", {})) <= set(parameters)


@pytest.mark.parametrize("name", PIPELINES)
def test_what_kfp_cannot_know_is_never_taken_from_the_cache(
    written: dict[str, Compiled], name: str
) -> None:
    tasks = written[name].tasks()
    cached = {task for task in tasks if tasks[task]["cachingOptions"].get("enableCache")}
    assert not cached & NEVER_CACHED
    # As nobody says when data and pairs change, they are always looked at.
    assert not cached & {"preprocess", "stylize"}
    assert cached >= set(tasks) & {"train", "reconstruct"}


def test_what_is_known_to_be_the_same_is_taken_from_the_cache(tmp_path: Path) -> None:
    made = built(end_to_end.build(data_known=True, pairs_known=True), tmp_path).tasks()
    assert made["preprocess"]["cachingOptions"]["enableCache"]
    assert made["stylize"]["cachingOptions"]["enableCache"]
    assert not made["register"]["cachingOptions"].get("enableCache")
    pinned = built(stylization.build(pinned=True), tmp_path).tasks()
    assert pinned["fetch"]["cachingOptions"]["enableCache"]


@pytest.mark.parametrize("name", PIPELINES)
def test_every_task_is_given_what_every_task_is(written: dict[str, Compiled], name: str) -> None:
    made = written[name]
    for task in made.tasks():
        config = made.kubernetes(task)
        assert config["securityContext"] == {
            "runAsUser": "10001",
            "runAsGroup": "0",
            "runAsNonRoot": True,
        }
        assert config["podMetadata"]["labels"] == {
            "app.kubernetes.io/part-of": "audiostyle",
            "app.kubernetes.io/component": TASKS[task][0],
            "team": "sound",
        }
        (source,) = config["configMapAsEnv"]
        assert source["configMapName"] == "ends"
        assert source["keyToEnv"] == [{"configMapKey": "b", "envVar": "A"}]
        assert int(config["activeDeadlineSeconds"]) > 0
        resources = made.container(task)["resources"]
        assert resources["resourceCpuRequest"]
        assert resources["resourceMemoryRequest"]
        assert ("accelerator" in resources) == (task == "stylize")
        if task != "stylize":
            policy = made.tasks()[task]["retryPolicy"]
            # A window for all attempts together, of which each may take its whole limit.
            window = int(policy.pop("backoffMaxDuration").rstrip("s"))
            assert window >= 4 * int(config["activeDeadlineSeconds"])
            assert policy == {"maxRetryCount": 3, "backoffDuration": "60s", "backoffFactor": 2.0}
    assert made.platform["pipelineConfig"]["activeDeadlineSeconds"] == 86400


@pytest.mark.parametrize("name", ["end_to_end", "stylization"])
def test_one_task_is_given_its_own(written: dict[str, Compiled], name: str) -> None:
    made = written[name]
    config, container = made.kubernetes("stylize"), made.container("stylize")
    resources = container["resources"]
    assert resources["resourceCpuRequest"] == "500m"
    assert resources["resourceCpuLimit"] == "2"
    assert resources["resourceMemoryRequest"] == "3Gi"
    assert resources["resourceMemoryLimit"] == "6Gi"
    assert resources["accelerator"]["resourceType"] == "nvidia.com/gpu"
    assert resources["accelerator"]["resourceCount"] == "1"
    assert config["nodeSelector"]["labels"] == {"nvidia.com/gpu.product": "L4"}
    (toleration,) = config["tolerations"]
    assert toleration == {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
    assert config["activeDeadlineSeconds"] == "1234"
    assert {"name": "OMP_NUM_THREADS", "value": "2"} in container["env"]
    assert "retryPolicy" not in made.tasks()["stylize"]


@pytest.mark.parametrize("name", ["end_to_end", "training"])
def test_secrets_are_named_for_the_tasks_that_need_them(
    written: dict[str, Compiled], name: str
) -> None:
    made = written[name]
    config = made.kubernetes("preprocess")
    (secret,) = config["secretAsEnv"]
    assert secret["secretName"] == "audiostyle-s3"
    assert secret["keyToEnv"] == [{"secretKey": "secret_key", "envVar": "AWS_SECRET_ACCESS_KEY"}]
    (mount,) = config["pvcMount"]
    assert mount["mountPath"] == "/data"
    for task in set(made.tasks()) - {"preprocess"}:
        assert "secretAsEnv" not in made.kubernetes(task)
    assert not [p for p in made.spec["root"]["inputDefinitions"]["parameters"] if "secret" in p]


def test_what_writes_to_mlflow_is_given_its_password_once(tmp_path: Path) -> None:
    """attach-report is given what register is, below a section of its own."""
    secret = {"name": "mlflow", "env": {"MLFLOW_TRACKING_PASSWORD": "password"}}
    tasks = {
        "register": {"secrets": [secret], "memory": "3Gi", "environment": {"A": "b"}},
        "attach-report": {"memory": "512Mi"},
    }
    made = built(end_to_end.build(cluster=ClusterConfig.parse({"tasks": tasks}, "x")), tmp_path)
    for task, memory in (("register", "3Gi"), ("attach-report", "512Mi")):
        (source,) = made.kubernetes(task)["secretAsEnv"]
        assert source["secretName"] == "mlflow"
        container = made.container(task)
        assert container["resources"]["resourceMemoryRequest"] == memory
        assert {"name": "A", "value": "b"} in container["env"]
        assert {"MLFLOW_HTTP_REQUEST_MAX_RETRIES"} <= {each["name"] for each in container["env"]}
    for task in set(made.tasks()) - {"register", "attach-report"}:
        assert "secretAsEnv" not in made.kubernetes(task)


def test_digests_are_carried_into_the_tasks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = {
        stage: f"registry.example/{stage}@sha256:{n * 64}"
        for n, stage in zip("abcd", images.STAGES, strict=True)
    }
    (tmp_path / "lock.yaml").write_text(yaml.safe_dump(lock))
    monkeypatch.setattr(images, "LOCK", tmp_path / "lock.yaml")
    builders = (end_to_end, training, stylization, bulk_stylization)
    for pipeline in (builder.build() for builder in builders):
        made = built(pipeline, tmp_path)
        for task in made.tasks():
            assert made.container(task)["image"] == lock[TASKS[task][0]]


def test_without_a_cluster_there_is_nothing_of_kubernetes(tmp_path: Path) -> None:
    for builder in (end_to_end, training, stylization, bulk_stylization):
        pipeline = builder.build()
        assert built(pipeline, tmp_path).platform == {}


def test_training_waits_for_the_word_train(written: dict[str, Compiled]) -> None:
    spec = written["training"].spec
    groups = spec["components"]["comp-condition-branches-1"]["dag"]["tasks"]
    (train,) = (g for g in groups.values() if g["taskInfo"]["name"] == "changed")
    condition = train["triggerPolicy"]["condition"]
    assert "decision" in condition and "== 'train'" in condition
    inside = spec["components"][train["componentRef"]["name"]]["dag"]["tasks"]
    assert set(inside) == {"train", "register"}
    assert "check-changes" in spec["root"]["dag"]["tasks"]


def test_shards_fan_out_within_a_bound(tmp_path: Path) -> None:
    made = built(stylization.build(shards=7, parallelism=3), tmp_path)
    (loop,) = (t for t in made.spec["root"]["dag"]["tasks"].values() if "parameterIterator" in t)
    assert loop["iteratorPolicy"]["parallelismLimit"] == 3
    assert loop["parameterIterator"]["items"]["raw"] == str(list(range(7)))
    # Two tasks an iteration, so that the GPU is given back before the phase is searched for.
    inside = made.component(loop)["dag"]["tasks"]
    assert set(inside) == {"stylize", "reconstruct"}
    given = inside["stylize"]["inputs"]["parameters"]
    assert given["shards"]["runtimeValue"]["constant"] == 7
    assert given["shard"]["componentInputParameter"]
    # The classifier is fetched once, outside.
    assert "fetch" in made.spec["root"]["dag"]["tasks"]


def test_a_bulk_job_fans_out_and_is_joined_after_all(tmp_path: Path) -> None:
    one = built(bulk_stylization.build(), tmp_path)
    assert set(one.spec["root"]["dag"]["tasks"]) == {"fetch", "bulk", "join"}
    assert one.tasks()["join"]["dependentTasks"] == ["bulk", "fetch"]
    made = built(bulk_stylization.build(shards=5, parallelism=2), tmp_path)
    tasks = made.spec["root"]["dag"]["tasks"]
    ((name, loop),) = ((n, t) for n, t in tasks.items() if "parameterIterator" in t)
    assert loop["iteratorPolicy"]["parallelismLimit"] == 2
    assert loop["parameterIterator"]["items"]["raw"] == str(list(range(5)))
    inside = made.component(loop)["dag"]["tasks"]
    assert set(inside) == {"bulk"}
    given = inside["bulk"]["inputs"]["parameters"]
    assert given["shards"]["runtimeValue"]["constant"] == 5
    assert given["shard"]["componentInputParameter"]
    assert set(tasks["join"]["dependentTasks"]) == {"fetch", name}


@pytest.mark.parametrize("rows, shards", [(7, 3), (3, 3), (10, 1)])
def test_shards_deal_every_pair_out_once(rows: int, shards: int) -> None:
    pairs = [Pair(str(n), Path("a"), Path("b")) for n in range(rows)]
    dealt = [shard_of(pairs, n, shards) for n in range(shards)]
    assert sorted(p.id for shard in dealt for p in shard) == sorted(p.id for p in pairs)
    assert max(map(len, dealt)) - min(map(len, dealt)) <= 1


@pytest.mark.parametrize("index, count", [(3, 3), (-1, 3), (0, 0), (7, 8)])
def test_no_shard(index: int, count: int) -> None:
    with pytest.raises(InputError, match="shard"):
        shard_of([Pair(str(n), Path("a"), Path("b")) for n in range(7)], index, count)


def test_a_version_is_known_by_what_it_says(tmp_path: Path) -> None:
    cluster = ClusterConfig.parse(CLUSTER, "test")
    names = set()
    for number, pipeline in enumerate(
        (training.build(), training.build(), training.build(cluster=cluster))
    ):
        path = tmp_path / f"{number}.yaml"
        compiled(pipeline, path)
        names.add(package_digest(path))
    assert len(names) == 2
    text = path.read_text()
    path.write_text(f"# a comment\n{text}")
    assert package_digest(path) in names


@pytest.mark.parametrize(
    "settings, word",
    [
        ({"tasks": {"reconstruct": {"gpu": 1}}}, "only train and stylize"),
        ({"tasks": {"bulk": {"gpu": 1}}}, "only train and stylize"),
        ({"every": {"gpu": 1}}, "only train and stylize"),
        ({"tasks": {"train": {"gpu": 3}}}, "gpu"),
        ({"tasks": {"dance": {}}}, "dance"),
        ({"every": {"memory": "lots"}}, "memory"),
        ({"every": {"cpu": "-1"}}, "cpu"),
        ({"every": {"retry_wait": "soon"}}, "retry_wait"),
        ({"every": {"secrets": [{"name": "Not A Name", "env": {}}]}}, "name"),
        ({"security": {"run_as_user": 0}}, "run_as_user"),
        ({"labels": {"a b": "c"}}, "labels"),
        ({"pipeline_root": "/somewhere"}, "pipeline_root"),
        ({"connection": {"host": "x"}}, "host"),
    ],
)
def test_bad_settings_are_named(settings: dict[str, Any], word: str) -> None:
    with pytest.raises(InputError, match=word) as caught:
        Settings.parse({"cluster": settings}, "settings.yaml")
    assert "settings.yaml: cluster" in str(caught.value)


@pytest.mark.parametrize(
    "settings, word",
    [
        ({"every": {"environment": {"AWS_SECRET_ACCESS_KEY": "abc"}}}, "Kubernetes secret"),
        ({"connection": {"token": "abc"}}, "token_file"),
        ({"connection": {"host": "https://me:abc@kubeflow.example"}}, "token_file"),
    ],
)
def test_a_secret_in_the_settings_is_refused_and_not_shown(
    settings: dict[str, Any], word: str
) -> None:
    with pytest.raises(InputError, match=word) as caught:
        Settings.parse({"cluster": settings}, "settings.yaml")
    assert "abc" not in str(caught.value)


def test_a_task_is_given_the_nearest_setting() -> None:
    cluster = ClusterConfig.parse(
        {"every": {"memory": "5Gi", "retries": 1}, "tasks": {"train": {"memory": "9Gi"}}}, "test"
    )
    assert cluster.task("train").memory == "9Gi"
    assert cluster.task("train").retries == 1
    assert cluster.task("train").cpu == ClusterConfig().task("train").cpu
    assert cluster.task("stylize").memory == "5Gi"


def test_a_changed_stage_has_another_local_name() -> None:
    names = {images.local_of(stage) for stage in images.STAGES}
    assert len(names) == 4
    assert all("python" in name for name in names)


def _shipped() -> dict[str, str]:
    """Settings that are shipped for a cluster, and the example in the documentation."""
    found = {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
        for path in ROOT.glob("deploy/kustomize/overlays/*/cluster*.yaml")
    }
    document = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
    found["docs/cluster.md"] = re.findall(r"```yaml\n(cluster:.*?)```", document, re.DOTALL)[0]
    return found


@pytest.mark.parametrize("name", _shipped())
def test_shipped_settings_compile(name: str, tmp_path: Path) -> None:
    cluster = Settings.parse(yaml.safe_load(_shipped()[name]), name).cluster
    made = built(end_to_end.build(cluster=cluster), tmp_path)
    (secret,) = made.kubernetes("preprocess")["secretAsEnv"]
    assert {pair["envVar"] for pair in secret["keyToEnv"]} >= {"AWS_SECRET_ACCESS_KEY"}
    for task in made.tasks():
        assert "accelerator" not in made.container(task)["resources"] or task in (
            "train",
            "stylize",
        )
