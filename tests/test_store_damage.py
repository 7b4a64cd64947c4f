"""What a bucket sends is compared with what it says of the object: one wrong byte is an error."""

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from s3_proxy import proxy
from seaweedfs import BUCKET, SeaweedFS

from audiostyle.recordings import fetch
from audiostyle.retry import passes, patiently
from audiostyle.store import DamagedObjectError, open_store

CONTENT = bytes(range(256)) * 12_000  # three chunks


class Damage:
    """Turns one bit of the next answers; left: how many."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.headers: dict[str, str] = {}

    def __call__(self, path: str, headers: dict[str, str], content: bytes) -> bytes:
        headers |= self.headers
        if "list-type" in path or not self.left:
            return content
        self.left -= 1
        middle = len(content) // 2
        return content[:middle] + bytes([content[middle] ^ 4]) + content[middle + 1 :]


def test_one_wrong_byte_is_an_error_that_passes(
    seaweedfs: SeaweedFS,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    damage = Damage(0)
    with proxy(seaweedfs.ports["s3"], damage) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        store = open_store(f"s3://{BUCKET}/damage")
        store.put("take #1.wav", CONTENT)
        assert store.get("take #1.wav") == CONTENT

        def read() -> bytes:
            with store.open("take #1.wav") as stream:
                return b"".join(stream.chunks)

        requests: tuple[Callable[[], bytes | None], ...] = (lambda: store.get("take #1.wav"), read)
        for request in requests:
            damage.left = 1
            with pytest.raises(DamagedObjectError, match=r"damage/take #1.wav: is damaged") as hit:
                request()
            assert passes(hit.value)
            assert request() == CONTENT
            damage.left = 1
            assert patiently(request, 30, "test") == CONTENT
        damage.left = 1
        # An object that carries a checksum of its own.
        assert store.get("take #1.wav", compare=False) != CONTENT
        damage.left = 1
        with pytest.raises(DamagedObjectError):
            fetch(f"{store.uri}/take #1.wav", tmp_path / "take.wav")
        assert not (tmp_path / "take.wav").exists()


@pytest.mark.parametrize(
    "headers, compared",
    [
        ({"etag": f'"{"0" * 32}-7"'}, False),
        ({"etag": '"opaque"'}, False),
        ({"x-amz-server-side-encryption": "aws:kms"}, False),
        ({"x-amz-server-side-encryption-customer-algorithm": "AES256"}, False),
        ({"x-amz-server-side-encryption": "AES256"}, True),
        ({"x-amz-checksum-sha256": "SHA256"}, True),
        ({"x-amz-checksum-sha256": "SHA256", "etag": '"opaque"'}, True),
        ({"x-amz-checksum-sha256": "c29tZSBwYXJ0cw==-3", "etag": '"opaque"'}, False),
        ({"etag": '"opaque"', "x-amz-checksum-sha256": "not base64"}, False),
    ],
)
def test_what_is_a_checksum_of_the_object(
    headers: dict[str, str],
    compared: bool,
    seaweedfs: SeaweedFS,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    right = base64.b64encode(hashlib.sha256(CONTENT).digest()).decode()
    damage = Damage(0)
    damage.headers = {k: right if v == "SHA256" else v for k, v in headers.items()}
    with proxy(seaweedfs.ports["s3"], damage) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        store = open_store(f"s3://{BUCKET}/checksums")
        store.put("a", CONTENT)
        assert store.get("a") == CONTENT
        damage.left = 1
        if compared:
            with pytest.raises(DamagedObjectError):
                store.get("a")
        else:
            assert store.get("a") != CONTENT
