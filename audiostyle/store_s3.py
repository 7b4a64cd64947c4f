"""The store in a bucket: the only module that talks S3, through boto3."""

import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from audiostyle.errors import AudiostyleError, InputError
from audiostyle.store import ATTEMPTS, CHUNK, Entry, StoreUnavailableError, Stream, checked


class S3Store:
    """Objects of one bucket below a prefix. The client is safe to share between threads."""

    def __init__(self, bucket: str, prefix: str = "", *, attempts: int = ATTEMPTS) -> None:
        self.bucket = bucket
        self.prefix = f"{prefix}/" if prefix else ""
        self.uri = f"s3://{bucket}/{prefix}".rstrip("/")
        self._client = _client(self.uri, attempts)
        self._direct: _PlainHttp | None = _PlainHttp()

    def check(self) -> None:
        """Raise InputError for a missing bucket or refused credentials, else where it is down."""
        with self._told(""):
            self._client.list_objects_v2(Bucket=self.bucket, Prefix=self.prefix, MaxKeys=1)

    def get(self, key: str) -> bytes | None:
        """See Store."""
        if (
            self._direct is not None
            and (content := self._get_directly(key, self._direct)) is not None
        ):
            return content
        with self._told(key):
            found = self._if_there("get_object", key)
            return None if found is None else bytes(found["Body"].read())

    def _get_directly(self, key: str, direct: "_PlainHttp") -> bytes | None:
        """The bytes by a plain request to a signed address, or None where that does not work.

        Half a megabyte takes boto3 2.9 ms of a core, this 0.7 ms. Whatever does not go well is
        boto3's to repeat and explain; after a connection that failed (a proxy, certificates of
        one's own, a server that stopped) it does all that follows.
        """
        with self._told(key):
            url = self._client.generate_presigned_url(
                "get_object", Params={"Bucket": self.bucket, "Key": self._key(key)}
            )
        try:
            status, content = direct.get(url)
        except (HTTPException, OSError):
            self._direct = None
            return None
        return content if status == 200 else None

    def put(self, key: str, content: bytes, *, absent: bool = False) -> bool:
        """See Store. The server keeps one of several that write at a time, whole."""
        from botocore.exceptions import ClientError

        condition = {"IfNoneMatch": "*"} if absent else {}
        with self._told(key):
            try:
                self._client.put_object(
                    Bucket=self.bucket, Key=self._key(key), Body=content, **condition
                )
            except ClientError as error:
                # 409: another writer of this key is not done yet.
                if absent and _status(error) in (409, 412):
                    return False
                raise
        return True

    def put_file(self, key: str, path: Path) -> None:
        """See Store. Read as it is sent, not into memory; an object holds 5 GB at most."""
        with self._told(key), path.open("rb") as file:
            self._client.put_object(Bucket=self.bucket, Key=self._key(key), Body=file)

    def tag(self, key: str) -> str | None:
        """See Store."""
        with self._told(key):
            found = self._if_there("head_object", key)
            return None if found is None else str(found["ETag"])

    def size(self, key: str) -> int | None:
        """See Store."""
        with self._told(key):
            found = self._if_there("head_object", key)
            return None if found is None else int(found["ContentLength"])

    def list(self, prefix: str = "") -> Iterator[Entry]:
        """See Store. A thousand names are held in memory at a time."""
        with self._told(prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=self.prefix + prefix
            )
            for page in pages:
                for found in page.get("Contents", ()):
                    key = found["Key"].removeprefix(self.prefix)
                    yield Entry(key, found["Size"], found["LastModified"].timestamp())

    def delete(self, key: str) -> None:
        """See Store."""
        with self._told(key):
            self._client.delete_object(Bucket=self.bucket, Key=self._key(key))

    @contextmanager
    def open(self, key: str, start: int = 0) -> Iterator[Stream]:
        """See Store."""
        body = None
        with self._told(key):
            head = self._if_there("head_object", key)
            if head is None:
                raise InputError(f"{self.uri}/{key}: does not exist")
            total = int(head["ContentLength"])
            if start < total:
                body = self._client.get_object(
                    Bucket=self.bucket,
                    Key=self._key(key),
                    Range=f"bytes={start}-",
                    IfMatch=head["ETag"],
                )["Body"]
        if body is None:
            yield Stream(total, head["ETag"], iter(()))
        else:
            with contextlib.closing(body):
                yield Stream(total, head["ETag"], self._chunks(key, body))

    def _chunks(self, key: str, body: Any) -> Iterator[bytes]:
        # Around the reading alone: what the caller does with a chunk fails in its own words.
        with self._told(key):
            yield from body.iter_chunks(CHUNK)

    def _key(self, key: str) -> str:
        return self.prefix + checked(key)

    def _if_there(self, operation: str, key: str) -> Any:
        from botocore.exceptions import ClientError

        try:
            return getattr(self._client, operation)(Bucket=self.bucket, Key=self._key(key))
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code"))
            if _status(error) == 404 and code != "NoSuchBucket":
                return None
            raise

    @contextmanager
    def _told(self, key: str) -> Iterator[None]:
        """Say what boto3 raised in words that name the URI and what to do about it."""
        from botocore import exceptions as b
        from urllib3.exceptions import HTTPError

        uri = f"{self.uri}/{key}".rstrip("/")
        endpoint = self._client.meta.endpoint_url
        try:
            yield
        except b.ClientError as error:
            raise _explained(error, uri, self.bucket, endpoint) from None
        except (b.NoCredentialsError, b.PartialCredentialsError):
            raise InputError(
                f"{uri}: no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            ) from None
        except b.ParamValidationError as error:
            raise InputError(f"{uri}: {' '.join(str(error).split())}") from None
        except (b.BotoCoreError, HTTPError, OSError) as error:
            raise StoreUnavailableError(
                f"{uri}: no answer from {endpoint}: {' '.join(str(error).split())}"
            ) from None


def _client(uri: str, attempts: int) -> Any:
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ImportError as error:
        raise InputError(f"{uri}: needs the package {error.name}: pip install boto3") from None

    def made(style: str) -> Any:
        config = Config(
            retries={"mode": "standard", "total_max_attempts": attempts},
            signature_version="s3v4",
            connect_timeout=5,
            read_timeout=60,
            max_pool_connections=32,
            s3={"addressing_style": style},
            # What is stored carries its own checksum; other servers may not know Amazon's.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        return session.client("s3", config=config)

    try:
        session = boto3.session.Session()  # one: it holds what both clients read at their start
        client = made("auto")
        # Elsewhere than at Amazon, buckets are seldom names in the DNS.
        return client if "amazonaws.com" in client.meta.endpoint_url else made("path")
    except (BotoCoreError, ValueError) as error:
        raise InputError(f"{uri}: the S3 settings cannot be used: {error}") from None


class _PlainHttp(threading.local):
    """Requests to one host, over a connection that every thread keeps for itself.

    urllib3, with copies and a pool, takes twice the time for half a megabyte.
    """

    def __init__(self) -> None:
        self._kept: HTTPConnection | None = None

    def get(self, url: str) -> tuple[int, bytes]:
        """Status and body of the answer. Raises HTTPException or OSError where none came."""
        parts = urlsplit(url)
        target = f"{parts.path}?{parts.query}"
        if self._kept is not None:
            # Servers close connections on which nothing came for a while: once more, on a new one.
            with contextlib.suppress(HTTPException, OSError):
                return self._answer(self._kept, target)
        return self._answer(_connected(parts), target)

    def _answer(self, connection: HTTPConnection, target: str) -> tuple[int, bytes]:
        self._kept = None
        try:
            connection.request("GET", target)
            with connection.getresponse() as answer:
                content = answer.read()
        except BaseException:
            connection.close()  # with half an answer in it, it is of no use to another request
            raise
        self._kept = connection
        return answer.status, content


def _connected(parts: SplitResult) -> HTTPConnection:
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = kind(str(parts.hostname), parts.port, timeout=5)
    connection.connect()
    connection.sock.settimeout(60)
    return connection


def _status(error: Any) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _explained(error: Any, uri: str, bucket: str, endpoint: str) -> AudiostyleError:
    code = str(error.response.get("Error", {}).get("Code"))
    status = _status(error)
    if code == "NoSuchBucket" or (status == 404 and code in ("404", "NotFound")):
        return InputError(f"{uri}: there is no bucket {bucket!r} at {endpoint}")
    if status in (401, 403):
        return InputError(
            f"{uri}: {endpoint} refuses these credentials ({code});"
            " check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and their rights"
        )
    if status >= 500 or status == 429:
        return StoreUnavailableError(f"{uri}: {endpoint} answers {status} {code}")
    return AudiostyleError(f"{uri}: {endpoint} answers {status} {code}: {error}")
