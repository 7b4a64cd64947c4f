"""Backups of a workspace: one file, whole, that brings the workspace back, here or elsewhere.

A backup is a tar archive, compressed where its name ends in .gz or .tgz. Its first member says
what it is, its last one lists the SHA-256 of all files: a backup that was cut off is refused.
"""

from dataclasses import dataclass

FORMAT = "audiostyle/backup"
FORMAT_VERSION = 1
HEAD, HASHES, ROOT = "backup.json", "hashes.json", "workspace"  # names of members


@dataclass(frozen=True)
class Content:
    """What a backup holds: files, their bytes, and links."""

    files: int
    bytes: int
    links: int
