"""Addresses: taken apart, refused where they hold a secret, and printed without one.

Keys in a bucket may hold any character, so `s3://` addresses are split to the letter: `#`, `?`
and `%` mean themselves. In `file://` addresses `%` begins an encoded byte. Only `http(s)://`
addresses have queries and fragments.
"""

import ipaddress
import os
import re
import socket
import unicodedata
from pathlib import Path
from urllib.parse import unquote, unquote_to_bytes, urlsplit

from audiostyle.errors import InputError

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_ONE_SLASH = re.compile(r"(?:s3|file|https?):/?", re.IGNORECASE)
_AUTHORITY = re.compile(r"[^/?#\\]*")
_HOST = re.compile(r"([^:@]*|\[[0-9A-Fa-f:.%]*\])(:[0-9]*)?")
# Addresses in texts of others, in errors of libraries for instance.
_ADDRESS = re.compile(r"\b[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>]+")
# Of a query whose address is in pieces, as in urllib3's errors.
_PARAMETER = re.compile(
    r"(?<=[?&])((?:x-amz-[\w-]+|x-goog-[\w-]+|signature|sig|awsaccesskeyid|"
    r"[\w-]*(?:token|secret|password))=)[^&\s'\"<>]+",
    re.IGNORECASE,
)


def scheme_of(address: Path | str) -> str:
    """`s3`, `file`, `https` and so on, in lower case; empty for a path."""
    match = _SCHEME.match(str(address))
    return match[1].lower() if match else ""


def is_address(text: str) -> bool:
    """Whether a text is meant as an address rather than a path, also where a slash is missing.

    >>> is_address("s3:/bucket/a.wav"), is_address("a:b.wav")
    (True, False)
    """
    return "://" in text or _ONE_SLASH.match(text) is not None


def split_s3(address: str) -> tuple[str, str]:
    """Bucket and key of an `s3://` address; the key, or prefix, is all after the bucket's `/`.

    >>> split_s3("s3://bucket/take #1/why?.wav")
    ('bucket', 'take #1/why?.wav')

    Raises InputError where it is no such address or names no bucket.
    """
    if scheme_of(address) != "s3":
        raise InputError(f"{shown_address(address)}: is not an s3:// address")
    bucket, _, key = address[len("s3://") :].partition("/")
    if not bucket:
        raise InputError(f"{address}: names no bucket; s3://bucket/prefix is needed")
    return bucket, key


def join_s3(bucket: str, key: str) -> str:
    """The address that `split_s3` takes apart."""
    return f"s3://{bucket}/{key}"


def beside_s3(address: str, relative: str) -> str:
    """The address of what lies beside an object, by a relative path with `.` and `..`.

    >>> beside_s3("s3://bucket/dir#1/pairs.csv", "../a?.wav")
    's3://bucket/a?.wav'
    """
    bucket, key = split_s3(address)
    parts = key.split("/")[:-1]
    for part in relative.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    return join_s3(bucket, "/".join(parts))


def split_object(address: str) -> tuple[str, str]:
    """The store's address and the object's key of an `s3://` or `file://` address.

    Raises InputError where it names no object.
    """
    if scheme_of(address) == "file":
        path = file_path(address)
        store, key = path.parent.as_uri(), path.name
    else:
        bucket, key = split_s3(address)
        store = f"s3://{bucket}"
    if not key:
        raise InputError(f"{shown_address(address)}: names no object in it")
    return store, key


def object_name(address: str) -> str:
    """The last part of an address: a file's name, still percent-encoded for `http(s)://`."""
    scheme = scheme_of(address)
    rest = address[len(scheme) + 3 :].partition("/")[2]
    if scheme in ("http", "https"):
        rest = re.split("[?#]", rest, maxsplit=1)[0]
    return rest.rpartition("/")[2]


def file_path(address: str) -> Path:
    """The path of a `file://` address. Raises InputError where it names a host."""
    host, slash, path = address.partition("://")[2].partition("/")
    if host not in ("", "localhost") or not slash:
        raise InputError(f"{shown_address(address)}: names a host; file:///folder is needed")
    return Path(os.fsdecode(unquote_to_bytes(f"/{path}")))


def require_no_secret(name: str, address: str) -> str:
    """The address. Raises InputError, which does not repeat it, where it holds a secret.

    name: of the setting, for the error.
    """
    if _holds_secret(address):
        raise InputError(
            f"{name}: contains a user, password or signature, and addresses are stored and"
            " printed; use environment variables (AWS_…, MLFLOW_TRACKING_USERNAME and _PASSWORD)"
            " or ~/.netrc"
        )
    return address


def require_remote(name: str, address: str) -> str:
    """The address. Raises InputError where its host is the machine that opens it, by any spelling.

    A pod that opens `http://127.0.0.1:5000` asks itself, not the machine that it was submitted
    from. Addresses without a host, such as paths, and buckets are returned as they are.
    """
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError:
        return address  # no address at all: whoever opens it says so
    if "://" in address and parts.scheme not in ("s3", "file", "sqlite") and _is_local(host):
        raise InputError(
            f"{name}: {host} is the pod itself, where no server listens; give an address that pods"
            f" reach, such as http://SERVICE.NAMESPACE.svc:5000 (got {shown_address(address)!r})"
        )
    return address


def _is_local(host: str) -> bool:
    # As clients read it: full-width digits, percent signs, a final dot and a zone change nothing.
    host = unicodedata.normalize("NFKC", unquote(host)).lower().rstrip(".").partition("%")[0]
    if host.rpartition(".")[2] in ("localhost", "localdomain") or host.startswith("ip6-local"):
        return True
    if host in (socket.gethostname().lower(), socket.getfqdn().lower()):
        # A short name, or one that leads back here, is known to this machine alone.
        return "." not in host or _leads_back(host)
    try:
        ip: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(host)
    except ValueError:
        try:
            # 127.1, 2130706433, 0x7f.0.0.1: what inet_aton takes, HTTP clients take, too.
            ip = ipaddress.IPv4Address(socket.inet_aton(host))
        except OSError:
            return False
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    # All of 0.0.0.0/8 means "this host".
    return ip.is_loopback or ip.is_unspecified or (ip.version == 4 and int(ip) < 1 << 24)


def _leads_back(host: str) -> bool:
    try:
        addresses = {row[4][0] for row in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    return any(ipaddress.ip_address(str(text).partition("%")[0]).is_loopback for text in addresses)


def _holds_secret(address: str) -> bool:
    scheme = scheme_of(address)
    if not scheme:
        return False
    rest = address[len(scheme) + 3 :]
    if scheme in ("s3", "file"):
        authority = rest.partition("/")[0]
    else:
        authority = _AUTHORITY.match(rest)[0]  # type: ignore[index]
        authority = authority if _HOST.fullmatch(authority) else rest
    return "@" in authority or "Signature=" in rest or "X-Amz-" in rest


def shown_address(address: object) -> str:
    """An address as it may be printed: without user, password, and the values of its query.

    A path, and the key of an `s3://` or `file://` address, is printed as it is.

    >>> shown_address("https://me:secret@host/a.zip?token=secret&part=1#x")
    'https://host/a.zip?token=…&part=…#x'
    """
    text = str(address)
    scheme = scheme_of(text)
    if not scheme:
        return text
    start, rest = text[: len(scheme) + 3], text[len(scheme) + 3 :]
    if scheme in ("s3", "file"):
        authority, slash, path = rest.partition("/")
        if "Signature=" in path or "X-Amz-" in path:
            path = re.sub(r"\?.*", _query, path, flags=re.DOTALL)
        return f"{start}{authority.rpartition('@')[2]}{slash}{path}"
    authority = _AUTHORITY.match(rest)[0]  # type: ignore[index]
    if "@" in rest and not _HOST.fullmatch(authority.rpartition("@")[2]):
        # A password with one of /?# in it, which should have been encoded.
        rest = rest.rpartition("@")[2]
        authority = _AUTHORITY.match(rest)[0]  # type: ignore[index]
    path, sign, fragment = rest[len(authority) :].partition("#")
    path = re.sub(r"\?.*", _query, path, flags=re.DOTALL)
    fragment = re.sub("=[^&]*", "=…", fragment)
    return f"{start}{authority.rpartition('@')[2]}{path}{sign}{fragment}"


def _query(match: re.Match[str]) -> str:
    pairs = (part.partition("=")[:2] for part in match[0][1:].split("&"))
    # What has no name may itself be the secret.
    return "?" + "&".join(f"{name}=…" if sign else "…" for name, sign in pairs)


def without_secrets(text: object) -> str:
    """A text of a library with all addresses in it as `shown_address` prints them."""
    text = _ADDRESS.sub(lambda match: shown_address(match[0]), str(text))
    return _PARAMETER.sub(r"\1…", text)


def host_of(address: str) -> str:
    """The host of an `http(s)://` address in lower case; empty where there is none."""
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""
