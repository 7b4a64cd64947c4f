"""Object stores: a folder (`file://` or a plain path) or a bucket (`s3://bucket/prefix`).

Small on purpose: whole objects in and out, written with a condition where asked for, and read
from any byte on. S3 means its protocol: SeaweedFS and others are reached through
AWS_ENDPOINT_URL, which boto3 reads itself, as it does credentials and region.
"""

import contextlib
import errno
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from audiostyle.errors import AudiostyleError, InputError

# Attempts of one request: botocore waits up to 1, 2 and 4 s in between. That rides out a busy
# server; who can wait for one that is started again does so, knowing for how long.
ATTEMPTS = 4
CHUNK = 1 << 20  # bytes; a larger one makes no download faster


class StoreUnavailableError(AudiostyleError):
    """The store did not answer, or stopped in the middle: the same request may work later."""


@dataclass(frozen=True)
class Entry:
    """An object in a listing. size: bytes; modified: seconds since 1970."""

    key: str
    size: int
    modified: float


@dataclass(frozen=True)
class Stream:
    """An object that is being read. total: bytes of all of it; tag: changes when it does."""

    total: int
    tag: str
    chunks: Iterator[bytes]


class Store(Protocol):
    """Objects by key: relative POSIX paths, without `..`. Errors name the object's URI."""

    uri: str

    def check(self) -> None:
        """Raise InputError or StoreUnavailableError now rather than later."""

    def get(self, key: str) -> bytes | None:
        """The object's bytes; None where there is none."""

    def put(self, key: str, content: bytes, *, absent: bool = False) -> bool:
        """Write a whole object. absent: only where there is none; tells whether it was written."""

    def size(self, key: str) -> int | None:
        """The object's size in bytes; None where there is none."""

    def list(self, prefix: str = "") -> Iterator[Entry]:
        """The objects whose keys begin with `prefix`, sorted by key."""

    def delete(self, key: str) -> None:
        """Take an object away; nothing happens where there is none."""

    def open(self, key: str, start: int = 0) -> contextlib.AbstractContextManager[Stream]:
        """Read an object from byte `start` on. Raises InputError where there is none."""


def open_store(uri: str | Path) -> Store:
    """The store at a URI: `s3://bucket/prefix`, `file:///folder`, or a plain path."""
    parts = urlsplit(str(uri))
    if parts.scheme == "s3":
        if not parts.netloc:
            raise InputError(f"{uri}: names no bucket; s3://bucket/prefix is needed")
        return S3Store(parts.netloc, parts.path.strip("/"))
    if parts.scheme == "file":
        if parts.netloc not in ("", "localhost"):
            raise InputError(f"{uri}: names a host; file:///folder is needed")
        return FileStore(Path(unquote(parts.path)))
    if "://" in str(uri):
        raise InputError(f"{uri}: has no store; use s3://bucket/prefix, file:///folder or a path")
    return FileStore(Path(uri))


def _checked(key: str) -> str:
    pure = PurePosixPath(key)
    if not key or pure.is_absolute() or ".." in pure.parts:
        raise InputError(f"key {key!r}: is no relative path inside the store")
    return key


class FileStore:
    """A folder, made when first written to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.uri = self.folder.as_uri()

    def check(self) -> None:
        """Raise InputError where the folder is none or cannot be made."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{self.uri}: is no folder to store in: {error.strerror}") from None
        if not os.access(self.folder, os.R_OK | os.W_OK | os.X_OK):
            raise InputError(f"{self.uri}: may not be read and written")

    def get(self, key: str) -> bytes | None:
        """See Store."""
        try:
            return (self.folder / _checked(key)).read_bytes()
        except FileNotFoundError:
            return None

    def put(self, key: str, content: bytes, *, absent: bool = False) -> bool:
        """See Store. Readers see the old object or the new one, never a part."""
        path = self.folder / _checked(key)
        if absent and path.exists():
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
        try:
            temporary.write_bytes(content)
            return self._place(temporary, path, absent)
        finally:
            temporary.unlink(missing_ok=True)

    @staticmethod
    def _place(temporary: Path, path: Path, absent: bool) -> bool:
        if absent:
            try:
                # A second name for the file: unlike a rename, refused where the name is taken.
                path.hardlink_to(temporary)
            except FileExistsError:
                return False
            except OSError as error:
                # Some network file systems have no hard links; a rename is whole, too.
                if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK):
                    raise
            else:
                return True
        temporary.replace(path)
        return True

    def size(self, key: str) -> int | None:
        """See Store."""
        try:
            return (self.folder / _checked(key)).stat().st_size
        except FileNotFoundError:
            return None

    def list(self, prefix: str = "") -> Iterator[Entry]:
        """See Store. One folder of names is held in memory at a time."""
        yield from self._below(self.folder, prefix)

    def _below(self, folder: Path, prefix: str) -> Iterator[Entry]:
        try:
            found = sorted(os.scandir(folder), key=lambda e: e.name + "/" * e.is_dir())
        except FileNotFoundError:
            return
        for item in found:
            key = Path(item.path).relative_to(self.folder).as_posix()
            if item.name.startswith("."):
                continue
            if item.is_dir():
                if f"{key}/".startswith(prefix) or prefix.startswith(f"{key}/"):
                    yield from self._below(Path(item.path), prefix)
            elif key.startswith(prefix):
                with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
                    status = item.stat()
                    yield Entry(key, status.st_size, status.st_mtime)

    def delete(self, key: str) -> None:
        """See Store."""
        (self.folder / _checked(key)).unlink(missing_ok=True)

    @contextmanager
    def open(self, key: str, start: int = 0) -> Iterator[Stream]:
        """See Store."""
        path = self.folder / _checked(key)
        try:
            file = path.open("rb")
        except (FileNotFoundError, IsADirectoryError):
            raise InputError(f"{path}: does not exist, or is not a file") from None
        with file:
            status = os.fstat(file.fileno())
            file.seek(start)
            tag = f"{status.st_size}-{status.st_mtime_ns}"
            yield Stream(status.st_size, tag, iter(lambda: file.read(CHUNK), b""))


class S3Store:
    """Objects of one bucket below a prefix. The client is safe to share between threads."""

    def __init__(self, bucket: str, prefix: str = "", *, attempts: int = ATTEMPTS) -> None:
        self.bucket = bucket
        self.prefix = f"{prefix}/" if prefix else ""
        self.uri = f"s3://{bucket}/{prefix}".rstrip("/")
        self._client = _client(self.uri, attempts)
        self._direct: Any = _plain_http()

    def check(self) -> None:
        """Raise InputError for a missing bucket or refused credentials, else where it is down."""
        with self._told(""):
            self._client.list_objects_v2(Bucket=self.bucket, Prefix=self.prefix, MaxKeys=1)

    def get(self, key: str) -> bytes | None:
        """See Store."""
        if self._direct is not None and (content := self._get_directly(key)) is not None:
            return content
        with self._told(key):
            found = self._if_there("get_object", key)
            return None if found is None else bytes(found["Body"].read())

    def _get_directly(self, key: str) -> bytes | None:
        """The bytes by a plain request to a signed address, or None where that does not work.

        Half a megabyte takes boto3 2.9 ms of a core, this 1.3 ms. Whatever does not go well is
        boto3's to repeat and explain; after a connection that failed (a proxy, certificates of
        one's own, a server that stopped) it does all that follows.
        """
        from urllib3.exceptions import HTTPError

        with self._told(key):
            url = self._client.generate_presigned_url(
                "get_object", Params={"Bucket": self.bucket, "Key": self._key(key)}
            )
        try:
            answer = self._direct.request("GET", url, retries=False)
        except HTTPError:
            self._direct = None
            return None
        return bytes(answer.data) if answer.status == 200 else None

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
        return self.prefix + _checked(key)

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


def _plain_http() -> Any:
    from urllib3 import PoolManager, Timeout

    return PoolManager(maxsize=32, timeout=Timeout(connect=5, read=60))


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
