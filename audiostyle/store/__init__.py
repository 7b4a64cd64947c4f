"""Object stores: a folder (`file://` or a plain path) or a bucket (`s3://bucket/prefix`).

Small on purpose: whole objects in and out, written with a condition where asked for, and read
from any byte on. S3 means its protocol: SeaweedFS and others are reached through
AWS_ENDPOINT_URL, which boto3 reads itself, as it does credentials and region.
"""

from audiostyle.store.base import (
    CHUNK,
    DamagedObjectError,
    Entry,
    Store,
    StoreUnavailableError,
    Stream,
)
from audiostyle.store.folder import FolderStore
from audiostyle.store.opening import open_object, open_store

__all__ = [
    "CHUNK",
    "DamagedObjectError",
    "Entry",
    "FolderStore",
    "Store",
    "StoreUnavailableError",
    "Stream",
    "open_object",
    "open_store",
]
