"""Installs packages into the environment that runs it: by uv with pip's settings, or else by pip.

    python deploy/install_packages.py [PIP'S OPTIONS] REQUIREMENT…

uv resolves and unpacks in parallel, but reads none of pip's configuration. So this module reads
it (pip.conf, PIP_…, the options given here) and gives uv the same indices, folders of wheels,
certificates and proxies. pip installs, and a line says why, where

- pip finds no wheel of uv,
- a setting has no equal in uv, or
- uv fails: pip then has the last word, and its error is the one to read.

Variables of uv's own (UV_…) win over what is derived here. Files are copied from uv's cache and
not linked, so that a file that is changed in one environment stays as it was in all others.
"""

import argparse
import ast
import math
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit
from urllib.request import url2pathname

PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
UV = Path(sys.executable).with_name("uv")

# Other names that pip has for a setting.
_SAME = {"default-timeout": "timeout", "pypi-url": "index-url"}
# Settings that hold several values.
_LISTS = ("constraint", "extra-index-url", "find-links", "trusted-host", "only-binary", "no-binary")
# Settings that change nothing about what is installed and from where.
_WITHOUT_EFFECT = (
    "config-file", "debug", "disable-pip-version-check", "exists-action", "log", "no-color",
    "no-input", "no-python-version-warning", "no-warn-script-location", "progress-bar", "quiet",
    "require-virtualenv", "root-user-action", "verbose", "break-system-packages",
)  # fmt: skip
# First release of pip that checks certificates with the system's.
_PIP_WITH_SYSTEM_CERTIFICATES = (24, 2)


class UvUnusableError(Exception):
    """Why uv cannot do this installation."""


def main() -> None:
    """Install what the command line names; exits with pip's or uv's code."""
    words = sys.argv[1:]
    try:
        options = _options(words)
        settings = _merged(_configured(), options)
        _fetch_uv(words, options)
        _install_by_uv(settings, options)
    except UvUnusableError as error:
        print(f"uv is not used ({error}); pip installs, which takes longer", file=sys.stderr)
        sys.exit(subprocess.run([*PIP, "install", "--quiet", *words], check=False).returncode)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Leave options that are not known here to pip."""
        raise UvUnusableError(message)


def _options(words: list[str]) -> argparse.Namespace:
    """The options of `pip install` that have an equal in uv. Raises UvUnusableError for others."""
    parser = _Parser(allow_abbrev=False, add_help=False)
    for name in ("--cert", "--client-cert", "--proxy", "--retries", "--cache-dir"):
        parser.add_argument(name)
    parser.add_argument("--timeout", "--default-timeout")
    parser.add_argument("-i", "--index-url", "--pypi-url")
    parser.add_argument("-f", "--find-links", action="append")
    parser.add_argument("-c", "--constraint", action="append")
    for name in ("--extra-index-url", "--trusted-host", "--only-binary", "--no-binary"):
        parser.add_argument(name, action="append")
    for name in ("--no-index", "--no-cache-dir", "--pre"):
        parser.add_argument(name, action="store_const", const="true")
    parser.add_argument("-q", "--quiet", action="count")
    parser.add_argument("-v", "--verbose", action="count")
    parser.add_argument("-e", "--editable", action="append", default=[])
    parser.add_argument("requirements", nargs="*")
    return parser.parse_intermixed_args(words)


def _configured() -> dict[str, str]:
    """Settings of pip by name, from its files and the environment, as `pip install` reads them."""
    done = subprocess.run([*PIP, "config", "list"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise UvUnusableError(f"pip config list: {done.stderr.strip()}")
    sections: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in done.stdout.splitlines():
        key, _, value = line.partition("=")
        section, _, name = key.rpartition(".")
        if section in sections:
            sections[section][_SAME.get(name, name)] = str(ast.literal_eval(value))
    return {name: value for section in sections.values() for name, value in section.items()}


def _merged(configured: Mapping[str, str], options: argparse.Namespace) -> dict[str, list[str]]:
    """Values of each setting: an option replaces what is configured, or is added to a list."""
    settings = {
        name: value.split() if name in _LISTS else [value]
        for name, value in configured.items()
        if name not in _WITHOUT_EFFECT
    }
    for field, value in vars(options).items():
        name = field.replace("_", "-")
        if name in ("editable", "requirements", *_WITHOUT_EFFECT) or value is None:
            continue
        settings[name] = [*settings.get(name, []), *value] if name in _LISTS else [value]
    return settings


def _fetch_uv(words: list[str], options: argparse.Namespace) -> None:
    """Have pip install uv's wheel, of the version in the constraints, unless it is there."""
    if UV.exists():
        return
    wanted = {*options.editable, *options.requirements, "-e", "--editable"}
    how = [word for word in words if word not in wanted and not word.startswith("--editable=")]
    command = [*PIP, "install", "--quiet", *how, "--only-binary", "uv", "uv"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or not UV.exists():
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise UvUnusableError(f"pip finds no wheel of it: {(errors or ['no reason given'])[-1]}")


def _install_by_uv(settings: Mapping[str, list[str]], options: argparse.Namespace) -> None:
    arguments, variables = uv_settings(settings)
    command = [str(UV), "pip", "install", "--quiet", "--python", sys.executable, *arguments]
    command += [word for each in options.editable for word in ("--editable", each)]
    command += options.requirements
    own = {name: value for name, value in os.environ.items() if name.startswith("UV_")}
    environment = {**os.environ, **variables, **own}
    if subprocess.run(command, env=environment, check=False).returncode:
        # Nothing of the command's environment, which may hold the password of an index.
        raise UvUnusableError(f"`{shlex.join(['uv', *command[1:3]])}` failed")


def uv_settings(settings: Mapping[str, list[str]]) -> tuple[list[str], dict[str, str]]:
    """Arguments and variables of uv for settings of pip. Raises UvUnusableError without an equal.

    Addresses go into variables: others can read a process's arguments, and passwords may be in
    an address.
    """
    arguments: list[str] = []
    # pip takes the best version of all indices; uv by itself the first index that has any.
    variables = {"UV_INDEX_STRATEGY": "unsafe-best-match", "UV_LINK_MODE": "copy"}
    if _release(version("pip")) >= _PIP_WITH_SYSTEM_CERTIFICATES:
        variables["UV_SYSTEM_CERTS"] = "true"
    # requests, by which pip downloads, reads these.
    for name in ("CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        if file := os.environ.get(name):
            variables |= _certificates(file)
    for name, values in settings.items():
        value = values[-1] if values else ""
        match name:
            case "constraint":
                for each in values:
                    arguments += ["--constraint", each]
            case "only-binary" | "no-binary":
                for each in values:
                    arguments += [f"--{name}", each]
            case "index-url":
                variables["UV_DEFAULT_INDEX"] = value
            case "extra-index-url":
                variables["UV_INDEX"] = " ".join(values)
            case "find-links":
                variables["UV_FIND_LINKS"] = ",".join(_find_links(values))
            case "no-index":
                arguments += ["--no-index"] if _true(value) else []
            case "trusted-host":
                variables["UV_INSECURE_HOST"] = " ".join(values)
            case "cert":
                variables |= _certificates(value)
            case "client-cert":
                variables["SSL_CLIENT_CERT"] = value
            case "proxy":
                proxy = value if "://" in value else f"http://{value}"
                variables |= dict.fromkeys(("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY"), proxy)
            case "timeout":
                variables["UV_HTTP_TIMEOUT"] = str(math.ceil(float(value)))
            case "retries":
                variables["UV_HTTP_RETRIES"] = value
            case "cache-dir":
                variables["UV_CACHE_DIR"] = str(Path(value).expanduser() / "uv")
            case "no-cache-dir":
                variables |= {"UV_NO_CACHE": "true"} if _true(value) else {}
            case "pre":
                variables |= {"UV_PRERELEASE": "allow"} if _true(value) else {}
            case _:
                raise UvUnusableError(f"it has no equal of pip's setting {name}")
    return arguments, variables


def _find_links(places: list[str]) -> list[str]:
    """Folders and pages; of folders those that exist, as pip passes over others."""
    kept = []
    for place in places:
        parts = urlsplit(place)
        if "," in place:
            raise UvUnusableError("it takes no find-links with a comma")
        if parts.scheme in ("http", "https"):
            kept.append(place)
            continue
        path = Path(url2pathname(parts.path) if parts.scheme == "file" else place).expanduser()
        if path.is_file():
            raise UvUnusableError("it takes no file as find-links")
        if path.is_dir():
            kept.append(str(path.absolute()))
    return kept


def _certificates(place: str) -> dict[str, str]:
    return {"SSL_CERT_DIR" if Path(place).is_dir() else "SSL_CERT_FILE": place}


def _release(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".")[:2] if part.isdigit())


def _true(value: str) -> bool:
    return value.lower() in ("1", "true", "yes", "on", "y", "t")


if __name__ == "__main__":
    main()
