"""Requests to a Kubeflow Pipelines server: who asks, how long, how often; errors in one line."""

import json
import logging
import os
import re
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import kfp
import urllib3
from kfp_server_api import ApiException

from audiostyle.errors import AudiostyleError, InputError
from pipeline.cluster.token import TOKEN, Token
from pipeline.cluster_config import ConnectionSettings

log = logging.getLogger(__name__)
T = TypeVar("T")

_PASSING = (429, 500, 502, 503, 504)
# What a database cannot store today it cannot store tomorrow, though the server calls it its own
# error: 1366 and 1267 for characters, 1406 for a text that is too long.
_UNSTORABLE = re.compile(r"Error 1366|Error 1267|Error 1406|Data too long|Incorrect string value")
SINGLE_USER = "kubeflow"  # the namespace of a standalone server, where Argo sees no other


class ServerUnavailableError(AudiostyleError):
    """The server did not answer, or said that it could not now: the request may work later."""


class RefusedError(AudiostyleError):
    """The server does not know who asks, or does not let them."""


class ConflictError(AudiostyleError):
    """The server has something of that name already."""


class NotFoundError(InputError):
    """The server has no such thing."""


class UnstoredError(AudiostyleError):
    """The server began something and could not store that it had: it must not be asked again."""


@dataclass(frozen=True)
class Patience:
    """How long a request may take, and how long to wait before each further attempt (seconds).

    Five attempts in 15 s of waiting: that outlives a server that is started again behind a
    load balancer, and a person still sits there when it does not. Who waits for a run is not sent
    away by an upgrade of the server, which takes minutes: `outage`. A creation may take longer
    than other requests: the server itself waits up to 60 s for an MLflow of its own.
    """

    connect: float = 10.0
    read: float = 60.0
    create: float = 90.0
    waits: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0)
    outage: float = 600.0


class _KfpClient(kfp.Client):  # type: ignore[misc]
    """kfp's client, which by itself would wait for ever for a server that hangs."""

    def __init__(self, limit: tuple[float, float], **options: Any) -> None:
        self._limit = limit
        super().__init__(**options)

    def get_kfp_healthz(self, sleep_duration: int = 5) -> Any:
        """Ask once; who calls it knows when to ask again."""
        api = self._healthz_api
        # Attempts are counted here, not by urllib3, which makes them at once.
        api.api_client.rest_client.pool_manager.connection_pool_kw["retries"] = False
        health, _, headers = api.healthz_service_get_healthz_with_http_info(
            _request_timeout=self._limit
        )
        if "json" not in headers.get("content-type", ""):
            raise ValueError("no JSON")
        return health


class Client:
    """A server that answers. `kfp` is kfp.Client: its generated services take the requests.

    kfp.Client's own methods print, and wait without end; so what is asked goes through `ask`.
    """

    def __init__(
        self,
        connection: ConnectionSettings,
        patience: Patience | None = None,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        """Connect. Raises InputError for settings, ServerUnavailableError, RefusedError."""
        if not connection.host:
            raise InputError(
                "host: is not set; give --host, the variable KF_PIPELINES_ENDPOINT, or"
                " cluster.connection.host in the settings"
            )
        if connection.ca_file and not Path(connection.ca_file).expanduser().is_file():
            raise InputError(f"ca_file: {connection.ca_file} does not exist")
        self.connection = connection
        self.patience = patience or Patience()
        self._token = Token(connection.token_file, environment)
        self.kfp = self.ask(self._connect, timeout=False)
        health = self.ask(self.kfp.get_kfp_healthz, timeout=False)
        namespace = connection.namespace or self.kfp.get_user_namespace() or ""
        self.multi_user = bool(health.multi_user)
        self.version = _version(health)
        # A server with one user refuses to be asked about a namespace, and runs all in its own.
        if not self.multi_user and connection.namespace not in ("", SINGLE_USER):
            raise InputError(
                f"namespace: {connection.host} has one user, and runs everything in {SINGLE_USER}"
                f" (got {connection.namespace!r}); leave the namespace out, and set up what runs"
                " need there: docs/operations.md"
            )
        self.namespace: str | None = namespace if self.multi_user else None
        self.pods = namespace if self.multi_user else SINGLE_USER  # where pods run
        if self.multi_user and not namespace:
            raise InputError(
                f"namespace: is not set, and {connection.host} has many users; give --namespace,"
                " the variable AUDIOSTYLE_KFP_NAMESPACE, or cluster.connection.namespace"
            )

    @property
    def ui(self) -> str:
        """Address of the web interface."""
        return self.connection.ui or self.connection.host

    @property
    def headers(self) -> dict[str, str]:
        """Headers that say who asks, for what is no part of the API."""
        return {"Authorization": f"Bearer {self._token.value}"} if self._token.value else {}

    def ask(
        self, request: Callable[..., T], *arguments: Any, timeout: bool = True, **options: Any
    ) -> T:
        """Make a request that may be made twice; try again where that can help.

        A refused token is read again once. Raises ServerUnavailableError after the last attempt.
        """
        for wait in (*self.patience.waits, None):
            try:
                return self.once(request, *arguments, timeout=timeout, **options)
            except ServerUnavailableError as error:
                if wait is None:
                    attempts = len(self.patience.waits) + 1
                    raise ServerUnavailableError(f"{error} ({attempts} attempts)") from None
                log.info("%s; again in %g s", error, wait)
                time.sleep(wait)
        raise AssertionError("unreachable")

    def create(self, request: Callable[[], T], find: Callable[[], T | None]) -> T:
        """Make a request that must not be made twice.

        Where no answer came, the server may have done it all the same, so `find` looks first.
        It also does where the server has something of that name: another was faster.
        """
        for wait in (*self.patience.waits, None):
            try:
                return self.once(request, read=self.patience.create)
            except (ServerUnavailableError, ConflictError) as error:
                if wait is None:
                    raise
                if isinstance(error, ServerUnavailableError):
                    log.info("%s; again in %g s", error, wait)
                    time.sleep(wait)
                existing = find()
                if existing is not None:
                    return existing
                if isinstance(error, ConflictError):
                    raise
        raise AssertionError("unreachable")

    def once(
        self,
        request: Callable[..., T],
        *arguments: Any,
        timeout: bool = True,
        read: float | None = None,
        **options: Any,
    ) -> T:
        """Make a request once, or twice where its token was out of date.

        read: how long to wait for the answer, in seconds; the patience's by default.
        """
        limit = (self.patience.connect, read or self.patience.read)
        if timeout:
            options["_request_timeout"] = limit
        renewed = False
        while True:
            try:
                return request(*arguments, **options)
            except ApiException as error:
                if error.status == 401 and not renewed and self._token.renew():
                    renewed = True
                    continue
                raise self._explained(error) from None
            except AttributeError as error:
                # kfp's client decodes the body of an answer that never came: TLS failed.
                if not isinstance(error.__context__, ApiException):
                    raise
                raise self._explained(error.__context__) from None
            except urllib3.exceptions.HTTPError as error:
                host = self.connection.host
                raise ServerUnavailableError(f"{host}: {_reason(error, limit)}") from None
            except ValueError:
                raise AudiostyleError(
                    f"{self.connection.host}: its answer is none of Kubeflow Pipelines'; is this"
                    " the API's address, and not that of a page to log in?"
                ) from None

    def _connect(self) -> _KfpClient:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _KfpClient(
                (self.patience.connect, self.patience.read),
                host=self.connection.host,
                namespace=self.connection.namespace or "kubeflow",
                credentials=self._token if self._token.value else None,
                ui_host=self.ui,
                ssl_ca_cert=self.connection.ca_file or None,
            )

    def _explained(self, error: ApiException) -> AudiostyleError:
        host, message = self.connection.host, _message(error)
        if 300 <= error.status < 400:
            return RefusedError(
                f"{host}: answers {error.status}, a redirection{_target(error)}: a page to log in?"
                f" Give --token-file or {TOKEN}, or the address of the API behind that page"
            )
        if error.status == 500 and "Failed to store" in message:
            return UnstoredError(f"{host}: answers 500{message}")
        if error.status == 500 and _UNSTORABLE.search(message):
            return InputError(f"{host}: its database cannot store a text of this request{message}")
        if error.status in _PASSING:
            return ServerUnavailableError(f"{host}: answers {error.status}{message}")
        if error.status == 401:
            if not self._token.value:
                return RefusedError(
                    f"{host}: wants a token; give --token-file, {TOKEN} or"
                    " cluster.connection.token_file"
                )
            return RefusedError(
                f"{host}: refuses the token of {self._token.source}{message}; it may have expired:"
                " put a new one there"
            )
        # The server's upload says 400 where it means 403.
        if error.status == 403 or (error.status == 400 and "authorization error" in message):
            return RefusedError(
                f"{host}: does not allow this{message}; the namespace's administrator grants it"
                " with the role kubeflow-pipelines-edit, and a token must be meant for"
                " pipelines.kubeflow.org"
            )
        if error.status == 404:
            return NotFoundError(f"{host}: has no such thing{message}")
        if error.status == 409:
            return ConflictError(f"{host}: has that already{message}")
        if error.status == 0:
            return AudiostyleError(f"{host}: TLS failed{message}; ca_file names its certificates")
        return InputError(f"{host}: answers {error.status}{message}")


def _target(error: ApiException) -> str:
    """Where a redirection leads, without the query, which may hold what nobody else should see."""
    parts = urlsplit(str((error.headers or {}).get("Location", "")))
    where = f"{parts.scheme}://{parts.hostname or ''}" if parts.hostname else ""
    return f" to {where}{parts.path}" if where or parts.path else ""


def _version(health: Any) -> str:
    """The server's version, "" where its build does not know it."""
    name = str(getattr(health, "tag_name", None) or "")
    return "" if name == "unknown" else name


def _message(error: ApiException) -> str:
    """What the server says, in one line."""
    text = str(error.body or error.reason or "")
    try:
        body = json.loads(text)
        text = str(body.get("error_details") or body.get("message") or body.get("error") or "")
    except (ValueError, AttributeError):
        text = "" if text.lstrip().startswith("<") else text
    text = " ".join(text.split())
    if len(text) > 300:
        # What was to be done stands at the beginning, and why it failed at the end.
        text = f"{text[:140]} … {text[-157:]}"
    return f": {text}" if text else ""


def _reason(error: urllib3.exceptions.HTTPError, limit: tuple[float, float]) -> str:
    if isinstance(error, urllib3.exceptions.NameResolutionError):
        return "no such host"
    if isinstance(error, urllib3.exceptions.NewConnectionError):
        return "no server answers there"
    if isinstance(error, urllib3.exceptions.ConnectTimeoutError):
        return f"no connection within {limit[0]:g} s"
    if isinstance(error, urllib3.exceptions.ReadTimeoutError):
        return f"no answer within {limit[1]:g} s"
    if isinstance(error, urllib3.exceptions.ProtocolError):
        return "broke off the connection"
    return f"cannot be asked ({type(error).__name__})"
