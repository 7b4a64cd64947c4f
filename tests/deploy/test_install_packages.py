"""Installation: by uv with pip's settings, or else by pip; from an index served here."""

import base64
import datetime
import hashlib
import ipaddress
import os
import shutil
import ssl
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from conftest import ROOT
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

# Each makes a virtual environment, which takes seconds.
pytestmark = pytest.mark.slow

SCRIPT = ROOT / "deploy" / "install_packages.py"
UV = Path(sys.executable).with_name("uv")


def wheel(folder: Path, name: str, version: str) -> Path:
    """A wheel with one module, of which `where` says the folder's name."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"version = {version!r}\nwhere = {folder.name!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = []
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=")
        rows.append(f"{path},sha256={digest.decode()},{len(text)}")
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(made, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
        archive.writestr(f"{info}/RECORD", "\n".join([*rows, f"{info}/RECORD,,"]) + "\n")
    return made


class Index(SimpleHTTPRequestHandler):
    """A folder of folders of wheels, as pip's simple index; with a password if `secret` is set."""

    secret = ""

    def do_GET(self) -> None:
        expected = f"Basic {base64.b64encode(self.secret.encode()).decode()}"
        if self.secret and self.headers.get("Authorization") != expected:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="index"')
            self.end_headers()
            return
        # What a proxy is asked for is a whole address.
        self.path = self.path.removeprefix("http://index.invalid")
        super().do_GET()

    def log_message(self, *_: object) -> None:
        """Keep the tests' output free of requests."""


def served(folder: Path, secret: str = "") -> tuple[ThreadingHTTPServer, str]:
    handler = type("Handler", (Index,), {"secret": secret})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder)))
    Thread(target=server.serve_forever, daemon=True).start()
    user = f"{secret}@" if secret else ""
    return server, f"http://{user}127.0.0.1:{server.server_port}/"


def certificates(folder: Path) -> tuple[Path, Path]:
    """PEM of an authority, and of a certificate by it for 127.0.0.1 with its key."""
    now = datetime.datetime.now(datetime.UTC)
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    names = [
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        for name in ("authority", "127.0.0.1")
    ]
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = [
        x509.CertificateBuilder(names[0], name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=key is keys[0], path_length=None), critical=True)
        .add_extension(address, critical=False)
        .sign(keys[0], hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
        for name, key in zip(names, keys, strict=True)
    ]
    secret = keys[1].private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (folder / "authority.pem").write_bytes(made[0])
    (folder / "server.pem").write_bytes(made[1] + secret)
    return folder / "authority.pem", folder / "server.pem"


@pytest.fixture
def index(tmp_path: Path) -> Iterator[str]:
    """Address of an index that has `sound` 1.0, and no uv."""
    wheel(tmp_path / "first" / "sound", "sound", "1.0")
    server, address = served(tmp_path / "first")
    yield address
    server.shutdown()
    server.server_close()


@pytest.fixture
def other_index(tmp_path: Path) -> Iterator[str]:
    """… and of one behind a password that has `sound` 2.0."""
    wheel(tmp_path / "second" / "sound", "sound", "2.0")
    server, address = served(tmp_path / "second", "me:hidden-word")
    yield address
    server.shutdown()
    server.server_close()


class Environment:
    """A virtual environment, installed into under a configuration of pip alone."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self.folder, self.cache = folder, cache
        venv.create(folder, with_pip=True, symlinks=True)

    def with_uv(self) -> "Environment":
        (self.folder / "bin" / "uv").symlink_to(UV)
        return self

    def install(self, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
        kept = {"PATH": os.environ["PATH"], "HOME": str(self.cache), "PIP_CONFIG_FILE": "/dev/null"}
        return subprocess.run(
            [self.folder / "bin" / "python", SCRIPT, *words],
            capture_output=True,
            text=True,
            check=False,
            env={**kept, "UV_CACHE_DIR": str(self.cache / "uv"), **settings},
        )

    @property
    def module(self) -> Path:
        return next(self.folder.glob("lib/*/site-packages/sound.py"))

    def installed(self) -> tuple[str, str]:
        """The version that is there, and who installed it."""
        program = "import sound, importlib.metadata as m; print(sound.version);"
        program += "print(m.distribution('sound').read_text('INSTALLER'))"
        words = [str(self.folder / "bin" / "python"), "-c", program]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        found, installer = done.stdout.split()
        return found, installer


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    return Environment(tmp_path / "environment", tmp_path / "cache")


def test_uv_installs_from_the_index_of_the_environment(
    environment: Environment, index: str
) -> None:
    done = environment.with_uv().install("sound", PIP_INDEX_URL=index)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert environment.installed() == ("1.0", "uv")


def test_the_best_version_of_all_indices_as_pip_takes_it(
    environment: Environment, index: str, other_index: str, tmp_path: Path
) -> None:
    """From pip.conf, with a password, which no output repeats."""
    conf = tmp_path / "pip.conf"
    conf.write_text(
        f"[global]\nindex-url = {index}\ntimeout = 7.5\nretries = 1\n"
        f"[install]\nextra-index-url =\n    {other_index}\n"
    )
    done = environment.with_uv().install("sound", PIP_CONFIG_FILE=str(conf))
    assert done.returncode == 0, done.stderr
    assert environment.installed() == ("2.0", "uv")
    assert "hidden-word" not in done.stdout + done.stderr


def test_through_a_proxy(environment: Environment, index: str) -> None:
    proxy = index.removeprefix("http://").rstrip("/")
    settings = {"PIP_INDEX_URL": "http://index.invalid/", "PIP_PROXY": proxy}
    done = environment.with_uv().install("sound", PIP_DEFAULT_TIMEOUT="20", **settings)
    assert done.returncode == 0, done.stderr
    assert environment.installed() == ("1.0", "uv")


@pytest.mark.parametrize("variable", ["PIP_CERT", "REQUESTS_CA_BUNDLE"])
def test_certificates_of_a_site(environment: Environment, tmp_path: Path, variable: str) -> None:
    wheel(tmp_path / "secure" / "sound", "sound", "1.0")
    server, address = served(tmp_path / "secure")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority, certificate = certificates(tmp_path)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    settings = {"PIP_INDEX_URL": address.replace("http:", "https:"), "PIP_RETRIES": "0"}
    try:
        assert environment.with_uv().install("sound", **settings).returncode == 1
        done = environment.install("sound", **settings, **{variable: str(authority)})
    finally:
        server.shutdown()
        server.server_close()
    assert done.returncode == 0, done.stderr
    assert environment.installed() == ("1.0", "uv")


def test_options_win_over_the_environment_and_it_over_files(
    environment: Environment, index: str, other_index: str, tmp_path: Path
) -> None:
    conf = tmp_path / "pip.conf"
    conf.write_text("[global]\nindex-url = http://127.0.0.1:9/\n")
    words = ["--index-url", other_index, "sound"]
    done = environment.with_uv().install(*words, PIP_CONFIG_FILE=str(conf), PIP_INDEX_URL=index)
    assert done.returncode == 0, done.stderr
    assert environment.installed() == ("2.0", "uv")


def test_folders_of_wheels_and_constraints(environment: Environment, tmp_path: Path) -> None:
    for version in ("3.0", "3.1"):
        wheel(tmp_path / "wheels", "sound", version)
    constraints = tmp_path / "constraints.txt"
    constraints.write_text("sound==3.0\n")
    links = f"{tmp_path / 'no-such-folder'} {tmp_path / 'wheels'}"
    words = ["--no-index", "-c", str(constraints), "sound"]
    done = environment.with_uv().install(*words, PIP_FIND_LINKS=links)
    assert done.returncode == 0, done.stderr
    assert environment.installed() == ("3.0", "uv")


def test_pip_installs_where_there_is_no_uv(environment: Environment, index: str) -> None:
    done = environment.install("sound", PIP_INDEX_URL=index)
    assert done.returncode == 0, done.stderr
    assert "uv is not used (pip finds no wheel of it" in done.stderr
    assert environment.installed() == ("1.0", "pip")


@pytest.mark.parametrize(
    ("words", "settings", "reason"),
    [
        ([], {"PIP_PREFER_BINARY": "1"}, "no equal of pip's setting prefer-binary"),
        (["--report", "/dev/null"], {}, "unrecognized arguments: --report"),
    ],
)
def test_pip_installs_where_uv_has_no_equal(
    environment: Environment, index: str, words: list[str], settings: dict[str, str], reason: str
) -> None:
    done = environment.with_uv().install(*words, "sound", PIP_INDEX_URL=index, **settings)
    assert done.returncode == 0, done.stderr
    assert reason in done.stderr
    assert environment.installed() == ("1.0", "pip")


def test_pip_has_the_last_word_where_uv_fails(environment: Environment, index: str) -> None:
    broken = environment.folder / "bin" / "uv"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    done = environment.install("sound", PIP_INDEX_URL=index)
    assert done.returncode == 0, done.stderr
    assert environment.installed() == ("1.0", "pip")


def test_what_neither_can_install_is_an_error(environment: Environment, index: str) -> None:
    done = environment.with_uv().install("no-such-package", PIP_INDEX_URL=index)
    assert done.returncode == 1
    assert "no-such-package" in done.stderr


def test_environments_do_not_share_files(
    environment: Environment, index: str, tmp_path: Path
) -> None:
    """What is done to a file in one leaves the cache, and so the others, as they were."""
    assert environment.with_uv().install("sound", PIP_INDEX_URL=index).returncode == 0
    assert environment.module.stat().st_nlink == 1
    whole = environment.module.read_bytes()
    with environment.module.open("r+b") as file:
        file.write(b"version = 'bad'")
    second = Environment(tmp_path / "second-environment", tmp_path / "cache").with_uv()
    assert second.install("sound", PIP_INDEX_URL=index).returncode == 0
    assert second.module.read_bytes() == whole
    shutil.rmtree(tmp_path / "cache" / "uv")
    assert second.installed() == ("1.0", "uv")
