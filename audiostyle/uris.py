"""Addresses: which may be shown, and which lead to another machine."""

import ipaddress
import socket
import unicodedata
from urllib.parse import unquote, urlsplit

from audiostyle.errors import InputError


def require_no_secret(name: str, address: str) -> str:
    """The address. Raises InputError, which does not repeat it, where a password is in it."""
    try:
        parts = urlsplit(address)
        secret = bool(parts.username or parts.password)
    except ValueError:
        return address  # no address at all: whoever opens it says so
    if "://" in address and (secret or "Signature=" in parts.query or "X-Amz-" in parts.query):
        raise InputError(
            f"{name}: holds a user, password or signature, and addresses are kept in the clear;"
            " use environment variables (AWS_…, MLFLOW_TRACKING_USERNAME and _PASSWORD) or ~/.netrc"
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
            f" reach, such as http://SERVICE.NAMESPACE.svc:5000 (got {_without_secret(address)!r})"
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


def _without_secret(address: str) -> str:
    parts = urlsplit(address)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()
