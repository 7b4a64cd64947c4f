"""Which checksum of an object S3 tells in the headers of an answer."""

import base64
import contextlib
import re

from audiostyle.store.base import Checksum
from audiostyle.store.plain_http import Headers

_MD5 = re.compile(r"[0-9a-f]{32}")


def checksum_of(bucket: str, headers: Headers) -> Checksum | None:
    """The checksum of a whole object in the headers of an answer, if there is one.

    An ETag is an MD5 where the object was sent in one part and is not encrypted with a key other
    than the store's own; a composite one, of the checksums of parts, ends in `-` and their number.
    In Amazon's directory buckets it is no checksum at all.
    """
    text = headers.get("x-amz-checksum-sha256", "")
    if text and "-" not in text:
        with contextlib.suppress(ValueError):
            return Checksum("sha256", base64.b64decode(text, validate=True).hex())
    tag = headers.get("etag", "").strip('"').lower()
    encrypted = "x-amz-server-side-encryption-customer-algorithm" in headers or headers.get(
        "x-amz-server-side-encryption", ""
    ).startswith("aws:kms")
    if encrypted or bucket.endswith("--x-s3") or not _MD5.fullmatch(tag):
        return None
    return Checksum("md5", tag)
