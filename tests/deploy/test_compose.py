"""deploy/compose.yaml, against the published schema of its format and against our own rules.

compose-spec.json is github.com/compose-spec/compose-spec, schema/compose-spec.json (Apache-2.0).
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from conftest import ROOT

FILE = ROOT / "deploy" / "compose.yaml"
EXAMPLE = (ROOT / "deploy" / "stack.env.example").read_text(encoding="utf-8")
SECRETS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "POSTGRES_PASSWORD", "PGPASSWORD")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return loaded


def lasting(compose: dict[str, Any]) -> dict[str, Any]:
    """The services that stay, rather than do one thing."""
    return {name: s for name, s in compose["services"].items() if "restart" in s}


def test_it_is_what_compose_reads(compose: dict[str, Any]) -> None:
    schema = json.loads((Path(__file__).parent / "compose-spec.json").read_text(encoding="utf-8"))
    jsonschema.validate(compose, schema)
    broken = {**compose, "services": {"mlflow": {"imagee": "x"}}}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, schema)


def test_servers_are_watched_and_locked_up(compose: dict[str, Any]) -> None:
    assert set(lasting(compose)) == {"seaweedfs", "postgres", "mlflow"}
    for service in lasting(compose).values():
        assert service["healthcheck"]["test"][0] == "CMD"
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:")


def test_images_are_pinned(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        found = re.fullmatch(r"\$\{[A-Z_]+:-[a-z0-9./-]+:([a-z0-9.-]+)\}", service["image"])
        assert found
        assert re.search(r"\d", found[1])


def test_what_is_waited_for_is_there(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for service in services.values():
        for name, how in service.get("depends_on", {}).items():
            watched = "healthcheck" in services[name]
            assert how["condition"] == (
                "service_healthy" if watched else "service_completed_successfully"
            )
        for volume in service.get("volumes", ()):
            assert volume.partition(":")[0] in compose["volumes"]


def test_no_secret_has_a_default(compose: dict[str, Any]) -> None:
    found = 0
    for service in compose["services"].values():
        for name, value in service.get("environment", {}).items():
            if name in SECRETS:
                found += 1
                # Compose stops with this message where the variable is not set.
                assert re.fullmatch(r"\$\{[A-Z_]+:\?[^}]+\}", value), name
    assert found >= 6


def test_the_example_names_every_variable_and_no_secret(compose: dict[str, Any]) -> None:
    listed = dict(line.split("=", 1) for line in EXAMPLE.splitlines() if line[0] != "#")
    assert {name for name, value in listed.items() if not value} == set(SECRETS) - {"PGPASSWORD"}
    used = set(re.findall(r"(?<!\$)\$\{([A-Z_]+)", FILE.read_text(encoding="utf-8")))
    assert {name for name in used if not name.endswith("_IMAGE")} <= set(listed)


def test_compose_reads_it_where_it_is_installed(tmp_path: Path) -> None:
    version = ["docker", "compose", "version"]
    if not shutil.which("docker") or subprocess.run(version, capture_output=True).returncode:
        pytest.skip("no `docker compose` here")
    filled = "".join(
        f"{line}x\n" if line.endswith("=") else f"{line}\n" for line in EXAMPLE.splitlines()
    )
    (tmp_path / "env").write_text(filled)
    files = ["--env-file", str(tmp_path / "env"), "--file", str(FILE)]
    config = ["docker", "compose", *files, "config", "-q"]
    done = subprocess.run(config, capture_output=True, text=True, env=os.environ, check=False)
    assert done.returncode == 0, done.stderr
