"""Stages in containers of this machine: images, mounts and rights for kfp.local.DockerRunner.

The containers are as strict as a cluster's: not root, a read-only root file system with a tmpfs at
/tmp, no capabilities, and no other network than the one that is named.
"""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audiostyle.command import ERROR_FILE
from audiostyle.errors import AudiostyleError, InputError
from audiostyle.task_events import EVENTS
from audiostyle.uris import scheme_of
from pipeline import images

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.types import Mount

# Passed on from the caller's environment where set; never parameters, which kfp logs and keeps.
ENVIRONMENT = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "MLFLOW_TRACKING_USERNAME",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
    "OMP_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)
# … and these name a file, which the containers are given to read.
FILES = ("AWS_CA_BUNDLE", "MLFLOW_TRACKING_SERVER_CERT_PATH")

# Who containers run as where the caller is root: the images' own user, with root's group.
_USER = 10001


@contextmanager
def prepared(
    workspace: Path, readable: list[Path], network: str
) -> Iterator[tuple[Callable[[str], str], Callable[[Path], dict[str, Any]]]]:
    """Images by stage, and what gives arguments of DockerRunner: see `pinned` and `arguments`."""
    workspace = workspace.resolve()
    with daemon() as client:
        image = pinned(client)
        (workspace / "pipeline").mkdir(parents=True, exist_ok=True)
        share(workspace)
        _check_readable(readable)
        yield image, partial(arguments, network, workspace, readable)


@contextmanager
def daemon() -> Iterator["DockerClient"]:
    """A client of the Docker daemon that DOCKER_HOST or the usual socket leads to.

    Raises InputError where none answers; inside, AudiostyleError for what the daemon refuses.
    """
    import docker

    try:
        client = docker.from_env()
    except docker.errors.DockerException as error:
        raise InputError(
            f"runner: no Docker daemon answers ({_line(error)}); start one, or leave out"
            " --runner docker"
        ) from None
    try:
        yield client
    except docker.errors.DockerException as error:
        raise AudiostyleError(f"docker: {_line(error)}") from None
    finally:
        client.close()


def pinned(client: "DockerClient") -> Callable[[str], str]:
    """From stage to a name of its image that changes with what is in it.

    kfp's cache knows a task by its image's name, and `make images` gives a new image the old name.
    The names stay: another run may be using them, and they are right for as long as they are there.
    Raises InputError for an image that is neither here nor to be had.
    """
    import docker

    names = {}
    for stage in images.STAGES:
        name = images.of(stage)
        try:
            local = client.images.get(name)
        except docker.errors.ImageNotFound:
            local = _pulled(client, name)
        if "@" not in name:
            repository = name.rpartition(":")[0]
            tag = local.id.removeprefix("sha256:")[:16]
            local.tag(repository, tag)
            name = f"{repository}:{tag}"
        names[stage] = name
    return names.__getitem__


def arguments(
    network: str, workspace: Path, readable: Iterable[Path], errors: Path
) -> dict[str, Any]:
    """Arguments of kfp.local.DockerRunner, which hands them to Docker.

    network: Docker's name for it; "host" reaches what this machine does.
    workspace: folder that tasks write to, at the same path as here.
    readable: folders and files that tasks may read, at the same paths.
    errors: folder for the error of a task that fails.
    """
    errors.chmod(0o770)
    passed = {name: os.environ[name] for name in (*ENVIRONMENT, *FILES) if name in os.environ}
    files = [Path(passed[name]).absolute() for name in FILES if name in passed]
    return {
        # As on a cluster, kfp's command takes the place of the image's entry point.
        "entrypoint": "",
        "user": f"{os.getuid()}:{os.getgid()}" if os.getuid() else f"{_USER}:0",
        "read_only": True,
        "tmpfs": {"/tmp": ""},  # noqa: S108, inside the container
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "network_mode": network,
        "environment": {
            **passed,
            ERROR_FILE: str(errors / "error.json"),
            EVENTS: "1",
        },
        "mounts": _mounts([workspace, errors], [*readable, *files]),
    }


def inputs(data: Path, pairs: Path) -> list[Path]:
    """What the tasks read: a data set, and the folders of a manifest of pairs and its recordings.

    Raises InputError for a manifest that cannot be read.
    """
    # Those in an object store are fetched by the stage.
    recordings = [path for path in _recordings(pairs) if isinstance(path, Path)]
    folders = [Path(os.path.abspath(path)).parent for path in (pairs, *recordings)]  # noqa: PTH100
    # A manifest of a data set, or an archive, reaches no further than its folder.
    return [data if data.is_dir() else data.parent, *folders]


def objects(pairs: Path) -> list[str]:
    """The recordings of a manifest of pairs that are objects of a store, by their URIs."""
    return [place for place in _recordings(pairs) if not isinstance(place, Path)]


def _recordings(pairs: Path) -> list[Path | str]:
    from components.stylize.pairs import read_pairs

    roles = (pair.recordings().values() for pair in read_pairs(pairs))
    return [place for places in roles for place in places]


def network_for(*uris: str) -> str:
    """The narrowest of Docker's own networks: "none" where all of these are on this machine."""
    servers = any(scheme_of(uri) in ("s3", "http", "https") for uri in uris)
    return "host" if servers else "none"


def share(workspace: Path) -> None:
    """Let containers write where root's tasks write: they are of its group, not root.

    A caller who is not root owns what the containers, which run under the same number, write.
    """
    if os.getuid():
        return
    lasting = [
        workspace / name for name in ("checkpoints", "mlflow.db", ".mlflow.db.lock", "mlartifacts")
    ]
    # Not rglob, which fails where another run removes a folder meanwhile.
    below = [
        Path(folder, name)
        for start in lasting
        for folder, folders, files in os.walk(start)
        for name in (*folders, *files)
    ]
    for path in (workspace, workspace / "pipeline", *lasting, *below):
        with contextlib.suppress(FileNotFoundError):
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | (0o770 if path.is_dir() else 0o660))


def _check_readable(paths: Iterable[Path]) -> None:
    """Say now what a task could not open: what only root may read, where root started this."""
    for path in () if os.getuid() else paths:
        status = path.stat()
        needed = 0o5 if path.is_dir() else 0o4
        if not any(status.st_mode & bits == bits for bits in (needed, needed << 3)):
            raise InputError(
                f"{path}: containers run as user {_USER} of group 0, who may not read it;"
                f" `chmod -R g+rX {path}`"
            )


def _mounts(writable: list[Path], readable: Iterable[Path]) -> list["Mount"]:
    from docker.types import Mount

    mounted: list[Path] = []
    for path in sorted({path.absolute() for path in readable}):
        if path not in writable and not any(path.is_relative_to(above) for above in mounted):
            mounted.append(path)
    return [
        *(Mount(str(path), str(path), type="bind") for path in writable),
        *(Mount(str(path), str(path), type="bind", read_only=True) for path in mounted),
    ]


def _pulled(client: "DockerClient", name: str) -> Any:
    import docker

    try:
        return client.images.pull(name)
    except docker.errors.DockerException as error:
        raise InputError(
            f"image {name}: is not here and cannot be pulled ({_line(error)});"
            " `make images` builds it"
        ) from None


def _line(error: Exception) -> str:
    text = str(getattr(error, "explanation", None) or error)
    return " ".join(text.split())
