"""The client that `make images` builds with: one that can, or what is missing, in one line."""

import os
import subprocess
from pathlib import Path

from docker_images import ROOT

# As Docker's own clients answer: with buildx (or BuildKit built in), and without.
BUILDS = 'echo "      --secret stringArray   Secret to expose to the build"'
DOES_NOT = 'echo "ERROR: BuildKit is enabled but the buildx component is missing" >&2; exit 1'


def client(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True)
    made = folder / "docker"
    made.write_text(f"#!/bin/sh\n{text}\n")
    made.chmod(0o755)
    return made


def found(**variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", ROOT / "deploy" / "docker-client.sh"],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_first_that_can_build(tmp_path: Path) -> None:
    client(tmp_path / "a b", DOES_NOT)
    able = client(tmp_path / "second", BUILDS)
    # grep, by name: the system's folders may hold a Docker of their own.
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "grep").symlink_to("/bin/grep")
    path = f"{tmp_path / 'a b'}:{tmp_path / 'tools'}:{able.parent}"
    done = found(PATH=path)
    assert (done.returncode, done.stdout.strip()) == (0, str(able)), done.stderr


def test_one_without_buildx(tmp_path: Path) -> None:
    unable = client(tmp_path / "a", DOES_NOT)
    (unable.parent / "grep").symlink_to("/bin/grep")
    for variables in ({"PATH": str(unable.parent)}, {"DOCKER": str(unable)}):
        done = found(**variables)
        assert (done.returncode, done.stdout) == (1, "")
        assert str(unable) in done.stderr
        assert "buildx" in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_none(tmp_path: Path) -> None:
    done = found(PATH=str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert "there is no Docker; install it" in done.stderr


def test_no_daemon(tmp_path: Path) -> None:
    """The build says so before it begins."""
    able = client(tmp_path / "a", f'[ "$1" = build ] && {{ {BUILDS}; exit; }}; exit 1')
    done = subprocess.run(
        [ROOT / "deploy" / "build.sh"],
        env={"PATH": os.environ["PATH"], "DOCKER": str(able)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "no Docker daemon answers; start it" in done.stderr
