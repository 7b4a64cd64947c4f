"""deploy/kustomize: what `kubectl kustomize` makes of it, by Kubernetes' schemas and our rules."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from conftest import ROOT

from pipeline import settings

FOLDER = ROOT / "deploy" / "kustomize"
# Overlays, and the namespace that their objects are in: "" for the one that kubectl is given.
OVERLAYS = {"standalone": "kubeflow", "profile": ""}
COMPONENTS = ("downloads", "quota")
# From the oldest version whose schemas are strict about what is used here to the newest one known.
VERSIONS = ("1.30", "1.35")


def rendered(folder: Path) -> list[dict[str, Any]]:
    beside = Path(sys.executable).with_name("kubectl")
    kubectl = str(beside) if beside.exists() else shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("no kubectl: tests/deploy/kubectl.sh fetches one")
    command = [kubectl, "kustomize", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr  # what is deprecated
    return list(yaml.safe_load_all(done.stdout))


@pytest.fixture(scope="module", params=OVERLAYS)
def objects(request: pytest.FixtureRequest) -> list[dict[str, Any]]:
    return rendered(FOLDER / "overlays" / request.param)


@pytest.fixture
def secrets(tmp_path: Path) -> list[dict[str, Any]]:
    """The secrets of an operator who has filled the examples in."""
    folder = tmp_path / "secrets"
    shutil.copytree(FOLDER / "secrets", folder, ignore=shutil.ignore_patterns("*.env"))
    for example in folder.glob("*.env.example"):
        lines = [f"{line}x" if line.endswith("=") else line for line in example.open()]
        filled = "".join(line.replace("=\n", "=value\n") for line in lines)
        example.with_name(example.stem).write_text(filled)
    return rendered(folder)


def launcher_patch() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((FOLDER / "launcher-patch.yaml").read_text())
    return found


def of_kind(objects: list[dict[str, Any]], *kinds: str) -> dict[str, dict[str, Any]]:
    return {each["metadata"]["name"]: each for each in objects if each["kind"] in kinds}


def pods(objects: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    workloads = of_kind(objects, "Deployment", "StatefulSet", "Job", "DaemonSet")
    return {name: each["spec"]["template"] for name, each in workloads.items()}


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_takes_it(
    objects: list[dict[str, Any]], secrets: list[dict[str, Any]], version: str
) -> None:
    for each in [*objects, *secrets]:
        kubernetes_validate.validate(each, version, strict=True)
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**objects[0], "speck": {}}, version, strict=True)


def test_pods_meet_the_restricted_standard(objects: list[dict[str, Any]]) -> None:
    assert set(pods(objects)) == {"audiostyle-mlflow", "audiostyle-postgres"}
    for template in pods(objects).values():
        spec = template["spec"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in spec["containers"]:
            assert {"readinessProbe", "livenessProbe"} <= set(container)
        for container in (*spec.get("initContainers", ()), *spec["containers"]):
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False
            assert security["readOnlyRootFilesystem"] is True
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert {"requests", "limits"} <= set(container["resources"])
            assert ":" in container["image"].rpartition("/")[2]
        # The tasks' pods have no sidecar, so what they call must have none.
        assert template["metadata"]["labels"]["sidecar.istio.io/inject"] == "false"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_all_is_in_one_namespace_and_says_whose_it_is(overlay: str) -> None:
    for each in rendered(FOLDER / "overlays" / overlay):
        assert each["metadata"]["labels"]["app.kubernetes.io/part-of"] == "audiostyle"
        assert each["metadata"].get("namespace", "") == OVERLAYS[overlay]
        assert each["metadata"]["name"].startswith("audiostyle-")


def test_no_namespace_is_made_or_labeled() -> None:
    """Kubeflow's policies go by labels of namespaces: ours would shut its object store off."""
    folders = [FOLDER / "base", *(FOLDER / "overlays").iterdir()]
    assert len(folders) == 3
    for folder in folders:
        assert not of_kind(rendered(folder), "Namespace")
    for path in FOLDER.rglob("*.yaml"):
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            assert document.get("kind") != "Namespace", path


def test_selectors_find_what_they_are_for(objects: list[dict[str, Any]]) -> None:
    labels = {name: set(t["metadata"]["labels"].items()) for name, t in pods(objects).items()}
    for name, service in of_kind(objects, "Service").items():
        wanted = set(service["spec"]["selector"].items())
        assert [pod for pod, has in labels.items() if wanted <= has] == [name]
    policies = of_kind(objects, "NetworkPolicy")
    own = {"audiostyle-tasks", "audiostyle-kubernetes-api", "audiostyle-downloads"}
    assert set(policies) == {*labels, *own}
    for name, policy in policies.items():
        only = {"audiostyle-kubernetes-api", "audiostyle-downloads"}
        types = {"Egress"} if name in only else {"Ingress", "Egress"}
        assert set(policy["spec"]["policyTypes"]) == types
        if name in own:
            # Other pods of the namespace may have the same component.
            wanted = policy["spec"]["podSelector"]["matchLabels"]
            assert wanted["app.kubernetes.io/part-of"] == "audiostyle"
        if name in labels:
            wanted = set(policy["spec"]["podSelector"]["matchLabels"].items())
            assert wanted <= labels[name]


def test_only_mlflow_reaches_the_database_and_nothing_reaches_a_task(
    objects: list[dict[str, Any]],
) -> None:
    policies = of_kind(objects, "NetworkPolicy")
    [rule] = policies["audiostyle-postgres"]["spec"]["ingress"]
    [peer] = rule["from"]
    assert peer["podSelector"]["matchLabels"] == {"app.kubernetes.io/name": "audiostyle-mlflow"}
    assert "egress" not in policies["audiostyle-postgres"]["spec"]
    assert "ingress" not in policies["audiostyle-tasks"]["spec"]
    for policy in policies.values():
        for rule in policy["spec"].get("egress", ()):
            # Only names may be asked for anywhere: a cluster's DNS can be at any address.
            assert rule.get("to") or {each["port"] for each in rule["ports"]} == {53, 5353}
            assert rule["ports"]


def test_preprocess_alone_may_download() -> None:
    for overlay in OVERLAYS:
        policies = of_kind(rendered(FOLDER / "overlays" / overlay), "NetworkPolicy")
        spec = policies["audiostyle-downloads"]["spec"]
        assert spec["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "preprocess"
        [peer] = spec["egress"][0]["to"]
        assert {"10.0.0.0/8", "169.254.0.0/16"} <= set(peer["ipBlock"]["except"])


def test_components_and_the_address_of_kubernetes_can_be_set(tmp_path: Path) -> None:
    """As docs/operations.md shows: an overlay on top, with a quota and a public API server."""
    shutil.copytree(FOLDER, tmp_path / "kustomize", ignore=shutil.ignore_patterns("*.env"))
    mine = tmp_path / "kustomize" / "overlays" / "mine"
    mine.mkdir()
    (mine / "kustomization.yaml").write_text("""
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: mine
resources: [../profile]
components: [../../components/quota]
patches:
  - target: {kind: NetworkPolicy, name: audiostyle-kubernetes-api}
    patch: |
      - op: replace
        path: /spec/egress/0/to
        value: [{ipBlock: {cidr: 203.0.113.7/32}}]
""")
    objects = rendered(mine)
    for each in objects:
        kubernetes_validate.validate(each, VERSIONS[0], strict=True)
    assert of_kind(objects, "ResourceQuota")["audiostyle"]["metadata"]["namespace"] == "mine"
    policy = of_kind(objects, "NetworkPolicy")["audiostyle-kubernetes-api"]
    assert policy["spec"]["egress"][0]["to"] == [{"ipBlock": {"cidr": "203.0.113.7/32"}}]


def test_secrets_are_referred_to_and_nowhere_written(
    objects: list[dict[str, Any]], secrets: list[dict[str, Any]]
) -> None:
    assert not of_kind(objects, "Secret")
    made = {name: set(each["data"]) for name, each in of_kind(secrets, "Secret").items()}
    references = 0
    for template in pods(objects).values():
        spec = template["spec"]
        for container in (*spec.get("initContainers", ()), *spec["containers"]):
            for source in container.get("envFrom", ()):
                if "secretRef" in source:
                    assert source["secretRef"]["name"] in made
                    references += 1
            for variable in container["env"]:
                if "PASSWORD" in variable["name"]:
                    key = variable["valueFrom"]["secretKeyRef"]
                    assert key["key"] in made[key["name"]]
                    references += 1
    assert references == 4
    for example in (FOLDER / "secrets").glob("*.env.example"):
        for line in example.read_text().splitlines():
            assert line.startswith("#") or line.endswith("=")


def test_the_launcher_gets_to_the_bucket(
    objects: list[dict[str, Any]], secrets: list[dict[str, Any]]
) -> None:
    maps = of_kind(objects, "ConfigMap")
    assert "kfp-launcher" not in maps  # it is Kubeflow's own, and patched
    patch = launcher_patch()
    assert set(patch) == {"data"}
    assert patch["data"]["defaultPipelineRoot"].startswith("s3://audiostyle/")
    provider = yaml.safe_load(patch["data"]["providers"])["s3"]["default"]
    address = maps["audiostyle-settings"]["data"]["AWS_ENDPOINT_URL"]
    assert address == f"{'http' if provider['disableSSL'] else 'https'}://{provider['endpoint']}"
    reference = provider["credentials"]["secretRef"]
    keys = of_kind(secrets, "Secret")[reference["secretName"]]["data"]
    assert {reference["accessKeyKey"], reference["secretKeyKey"]} == set(keys)


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("file", ["cluster.yaml", "cluster-gpu.yaml"])
def test_the_settings_for_submit_name_what_the_overlay_makes(
    overlay: str, file: str, secrets: Any
) -> None:
    made = rendered(FOLDER / "overlays" / overlay)
    found = settings.load(FOLDER / "overlays" / overlay / file).cluster
    assert found.service_account in of_kind(made, "ServiceAccount")
    service = of_kind(made, "Service")["audiostyle-mlflow"]
    port = service["spec"]["ports"][0]["port"]
    # The name alone is that of the pods' own namespace.
    host = f"audiostyle-mlflow.{OVERLAYS[overlay]}".rstrip(".")
    assert found.tracking_uri == f"http://{host}:{port}"
    assert found.pipeline_root == launcher_patch()["data"]["defaultPipelineRoot"]
    assert not found.connection.namespace
    for task in ("preprocess", "train", "register", "stylize", "reconstruct"):
        given = found.task(task)
        for source in given.secrets:
            assert set(source.env.values()) <= set(of_kind(secrets, "Secret")[source.name]["data"])
        for source in given.config_maps:
            assert set(source.env.values()) <= set(of_kind(made, "ConfigMap")[source.name]["data"])
        assert given.gpu == ("gpu" in file and task in ("train", "stylize"))
