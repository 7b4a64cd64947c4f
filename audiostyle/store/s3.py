"""The store in a bucket: the only module that talks S3, through boto3."""

import contextlib
import copy
import os
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any

from audiostyle.errors import AudiostyleError, InputError
from audiostyle.store.base import (
    ATTEMPTS,
    CHUNK,
    Entry,
    StoreUnavailableError,
    Stream,
    require_key,
    require_size,
)
from audiostyle.store.plain_http import Headers, PlainHttp
from audiostyle.store.s3_checksum import checksum_of
from audiostyle.uris import join_s3, shown_address, without_secrets


class S3Store:
    """Objects of one bucket below a prefix. The client is safe to share between threads."""

    def __init__(self, bucket: str, prefix: str = "", *, attempts: int | None = None) -> None:
        self.bucket = bucket
        # To the letter: of `a/` and `a//`, one is the folder `a` and one the nameless one in it.
        self.prefix = prefix if not prefix or prefix.endswith("/") else f"{prefix}/"
        self.uri = join_s3(bucket, self.prefix).removesuffix("/")
        self._client = _client(self.uri, attempts or _attempts())
        self._direct: PlainHttp | None = PlainHttp()

    def below(self, prefix: str) -> "S3Store":
        """See Store."""
        inner = copy.copy(self)  # with the same client
        inner.prefix = f"{self._key(prefix)}/"
        inner.uri = join_s3(self.bucket, inner.prefix).removesuffix("/")
        return inner

    def check(self) -> None:
        """Raise InputError for a missing bucket or refused credentials, else where it is down."""
        with self._naming(""):
            self._client.list_objects_v2(Bucket=self.bucket, Prefix=self.prefix, MaxKeys=1)

    def get(self, key: str, *, most: int | None = None, compare: bool = True) -> bytes | None:
        """See Store."""
        if self._direct is not None:
            headers, content = self._get_directly(key, self._direct, most)
            if content is not None:
                return self._compared(key, headers, content) if compare else content
        with self._naming(key):
            answer = self._if_there("get_object", key, ChecksumMode="ENABLED")
            if answer is None:
                return None
            with contextlib.closing(answer["Body"]) as body:
                require_size(self._uri(key), int(answer["ContentLength"]), most)
                content = bytes(body.read())
        return self._compared(key, _headers(answer), content) if compare else content

    def _compared(self, key: str, headers: Headers, content: bytes) -> bytes:
        if checksum := checksum_of(self.bucket, headers):
            for _ in checksum.check(self._uri(key), iter((content,))):
                pass
        return content

    def _get_directly(
        self, key: str, direct: "PlainHttp", most: int | None
    ) -> tuple[Headers, bytes | None]:
        """The bytes by a plain request to a signed address, or None where that does not work.

        Half a megabyte takes boto3 2.9 ms of a core, this 0.7 ms. Whatever does not go well is
        boto3's to repeat and explain; after a connection that failed (a proxy, certificates of
        one's own, a server that stopped) it does all that follows.
        """
        with self._naming(key):
            url = self._client.generate_presigned_url(
                "get_object", Params={"Bucket": self.bucket, "Key": self._key(key)}
            )
        try:
            status, headers, content = direct.get(url, most)
        except (HTTPException, OSError):
            self._direct = None
            return {}, None
        return headers, content if status == 200 else None

    def put(self, key: str, content: bytes, *, absent: bool = False) -> bool:
        """See Store. The server keeps one of several that write at a time, whole."""
        from botocore.exceptions import ClientError

        condition = {"IfNoneMatch": "*"} if absent else {}
        with self._naming(key):
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
        with self._naming(key), path.open("rb") as file:
            self._client.put_object(Bucket=self.bucket, Key=self._key(key), Body=file)

    def tag(self, key: str) -> str | None:
        """See Store."""
        with self._naming(key):
            answer = self._if_there("head_object", key)
            return None if answer is None else str(answer["ETag"])

    def size(self, key: str) -> int | None:
        """See Store."""
        with self._naming(key):
            answer = self._if_there("head_object", key)
            return None if answer is None else int(answer["ContentLength"])

    def list(self, prefix: str = "") -> Iterator[Entry]:
        """See Store. A thousand names are held in memory at a time."""
        with self._naming(prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=self.prefix + prefix
            )
            for page in pages:
                for item in page.get("Contents", ()):
                    key = item["Key"].removeprefix(self.prefix)
                    if key:  # else the marker of the folder itself
                        yield Entry(key, item["Size"], item["LastModified"].timestamp())

    def delete(self, key: str) -> None:
        """See Store."""
        with self._naming(key):
            self._client.delete_object(Bucket=self.bucket, Key=self._key(key))

    @contextmanager
    def open(self, key: str, start: int = 0) -> Iterator[Stream]:
        """See Store."""
        body = None
        with self._naming(key):
            answer = self._if_there("head_object", key, ChecksumMode="ENABLED")
            if answer is None:
                raise InputError(f"{self._uri(key)}: does not exist")
            total, tag = int(answer["ContentLength"]), answer["ETag"]
            checksum = checksum_of(self.bucket, _headers(answer))
            if start < total:
                # A range that is the whole object would be answered without its checksums.
                part = {"Range": f"bytes={start}-"} if start else {"ChecksumMode": "ENABLED"}
                answer = self._client.get_object(
                    Bucket=self.bucket, Key=self._key(key), IfMatch=tag, **part
                )
                body = answer["Body"]
                checksum = checksum or (
                    None if start else checksum_of(self.bucket, _headers(answer))
                )
        if body is None:
            yield Stream(total, tag, iter(()), checksum)
            return
        with contextlib.closing(body):
            chunks = self._chunks(key, body)
            if checksum and not start:
                chunks = checksum.check(self._uri(key), chunks)
            yield Stream(total, tag, chunks, checksum)

    def _chunks(self, key: str, body: Any) -> Iterator[bytes]:
        # Around the reading alone: what the caller does with a chunk fails in its own words.
        with self._naming(key):
            yield from body.iter_chunks(CHUNK)

    def _key(self, key: str) -> str:
        return self.prefix + require_key(key)

    def _uri(self, key: str) -> str:
        return f"{self.uri}/{key}"

    def _if_there(self, operation: str, key: str, **more: str) -> Any:
        from botocore.exceptions import ClientError

        try:
            request = getattr(self._client, operation)
            return request(Bucket=self.bucket, Key=self._key(key), **more)
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code"))
            if _status(error) == 404 and code != "NoSuchBucket":
                return None
            raise

    @contextmanager
    def _naming(self, key: str) -> Iterator[None]:
        """Say what boto3 raised in words that name the URI and what to do about it."""
        from botocore import exceptions as b
        from urllib3.exceptions import HTTPError

        uri = self._uri(key) if key else self.uri
        endpoint = shown_address(self._client.meta.endpoint_url)
        try:
            yield
        except b.ClientError as error:
            raise _explained(error, uri, self.bucket, endpoint) from None
        except (b.NoCredentialsError, b.PartialCredentialsError):
            raise InputError(
                f"{uri}: no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            ) from None
        except b.ParamValidationError as error:
            raise InputError(f"{uri}: {_line(error)}") from None
        except (b.BotoCoreError, HTTPError, OSError) as error:
            raise StoreUnavailableError(
                f"{uri}: no answer from {endpoint}: {_line(error)}"
            ) from None


def _attempts() -> int:
    """As boto3 would read it: a task that nobody repeats may ask for minutes."""
    text = os.environ.get("AWS_MAX_ATTEMPTS", "")
    if text and not (text.isdecimal() and 1 <= int(text) <= 100):
        raise InputError(f"AWS_MAX_ATTEMPTS: must be a number from 1 to 100 (got {text!r})")
    return int(text or ATTEMPTS)


def _client(uri: str, attempts: int) -> Any:
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ImportError as error:
        raise InputError(f"{uri}: needs the package {error.name}: pip install boto3") from None

    def client_for(style: str) -> Any:
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
        client = client_for("auto")
        # Elsewhere than at Amazon, buckets are seldom names in the DNS.
        return client if "amazonaws.com" in client.meta.endpoint_url else client_for("path")
    except (BotoCoreError, ValueError) as error:
        raise InputError(f"{uri}: the S3 settings cannot be used: {_line(error)}") from None


def _headers(answer: Any) -> Headers:
    headers: Headers = answer["ResponseMetadata"]["HTTPHeaders"]
    return headers


def _line(error: object) -> str:
    return without_secrets(" ".join(str(error).split()))


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
    return AudiostyleError(f"{uri}: {endpoint} answers {status} {code}: {_line(error)}")
