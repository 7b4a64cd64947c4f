"""Who talks to Kubeflow Pipelines over TLS knows that it is that server, or tells it nothing."""

import datetime
import http.server
import ipaddress
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from audiostyle.errors import AudiostyleError
from pipeline.cluster import logs
from pipeline.cluster.client import Client, Patience
from pipeline.cluster.run_details import Task
from pipeline.cluster.token import TOKEN
from pipeline.cluster_config import ConnectionSettings

SECRET = "token-of-the-tests"  # noqa: S105
IMPATIENT = Patience(connect=5, read=5, waits=())

OUTPUTS = logs.Outputs(root="", pipeline="train", run_id="run")
TASK = Task("train", "RUNNING", pod="workflow-1")

Serve = Callable[[str], tuple[str, Path]]


def certificate(folder: Path, host: str) -> tuple[Path, Path]:
    """A certificate of a server's own, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "audiostyle tests")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.IPAddress(ipaddress.ip_address(host))]
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture
def heard() -> list[str]:
    """Authorization headers that reached the server."""
    return []


@pytest.fixture
def serve(tmp_path: Path, heard: list[str]) -> Iterator[Serve]:
    """Starts a server of a name; gives its address on this machine, and its certificate."""
    started: list[http.server.HTTPServer] = []

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.append(self.headers.get("Authorization", ""))
            healthy = "healthz" in self.path
            body = b'{"multi_user": false}' if healthy else b"a line\n"
            self.send_response(200)
            self.send_header("Content-Type", "application/json" if healthy else "text/plain")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    def start(host: str) -> tuple[str, Path]:
        chain, key = certificate(tmp_path, host)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain, key)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        started.append(server)
        return f"https://127.0.0.1:{server.server_port}", chain

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


def connected(host: str, ca_file: Path | None) -> Client:
    connection = ConnectionSettings(host=host, ca_file=str(ca_file or ""))
    return Client(connection, IMPATIENT, {TOKEN: SECRET})


def test_a_server_that_is_known_is_told_the_token(serve: Serve, heard: list[str]) -> None:
    host, chain = serve("127.0.0.1")
    assert list(logs.lines(connected(host, chain), OUTPUTS, TASK)) == ["a line"]
    assert set(heard) == {f"Bearer {SECRET}"}


def test_a_server_of_an_unknown_certificate_is_told_nothing(serve: Serve, heard: list[str]) -> None:
    host, _ = serve("127.0.0.1")
    with pytest.raises(AudiostyleError, match="TLS failed") as caught:
        connected(host, None)
    assert SECRET not in str(caught.value)
    assert heard == []


def test_a_server_of_another_name_is_told_nothing(serve: Serve, heard: list[str]) -> None:
    host, chain = serve("127.0.0.2")
    with pytest.raises(AudiostyleError, match="TLS failed"):
        connected(host, chain)
    assert heard == []


def test_logs_come_from_no_other_server(serve: Serve, heard: list[str]) -> None:
    # The web interface has an address of its own, which may be another server's.
    host, chain = serve("127.0.0.1")
    server = connected(host, chain)
    (chain.parent / "other").mkdir()
    other, _ = certificate(chain.parent / "other", "127.0.0.1")
    server.connection = server.connection.model_copy(update={"ca_file": str(other)})
    heard.clear()
    with pytest.raises(AudiostyleError, match="SSLError"):
        list(logs.lines(server, OUTPUTS, TASK))
    assert heard == []
