"""Requests to a Kubeflow Pipelines server: who asks, how long, how often; errors in one line."""

import logging
import os
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import kfp
import urllib3
from kfp_server_api import ApiException

from audiostyle.errors import AudiostyleError, InputError
from pipeline.cluster.server_errors import (
    ConflictError,
    NotFoundError,
    ServerUnavailableError,
    explained,
    no_answer,
)
from pipeline.cluster.token import Token
from pipeline.cluster_config import ConnectionSettings

log = logging.getLogger(__name__)
T = TypeVar("T")

SINGLE_USER = "kubeflow"  # the namespace of a standalone server, where Argo sees no other


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
        health = self._health()
        namespace = connection.namespace or self.kfp.get_user_namespace() or ""
        self.multi_user: bool = health.multi_user
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

    def _health(self) -> Any:
        """Connect; returns what the server says of itself.

        Raises AudiostyleError if something else answers.
        """
        try:
            self.kfp = self.ask(self._connect, timeout=False)
            health = self.ask(self.kfp.get_kfp_healthz, timeout=False)
        except NotFoundError:
            health = None
        if not isinstance(getattr(health, "multi_user", None), bool):
            raise AudiostyleError(
                f"{self.connection.host}: something answers there that is not Kubeflow Pipelines;"
                " give the address of its API, with its path, as https://kubeflow.example/pipeline"
            )
        return health

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
                raise explained(error, self.connection.host, self._token) from None
            except AttributeError as error:
                # kfp's client decodes the body of an answer that never came: TLS failed.
                if not isinstance(error.__context__, ApiException):
                    raise
                raise explained(error.__context__, self.connection.host, self._token) from None
            except urllib3.exceptions.HTTPError as error:
                host = self.connection.host
                raise ServerUnavailableError(f"{host}: {no_answer(error, limit)}") from None
            except ValueError:
                raise AudiostyleError(
                    f"{self.connection.host}: its answer is none of Kubeflow Pipelines'; is this"
                    " the API's address, and not that of a page to log in?"
                ) from None

    def _connect(self) -> _KfpClient:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            logging.disable(logging.INFO)  # that it looked for a namespace
            try:
                return _KfpClient(
                    (self.patience.connect, self.patience.read),
                    host=self.connection.host,
                    namespace=self.connection.namespace or "kubeflow",
                    credentials=self._token if self._token.value else None,
                    ui_host=self.ui,
                    ssl_ca_cert=self.connection.ca_file or None,
                )
            finally:
                logging.disable(logging.NOTSET)


def _version(health: Any) -> str:
    """The server's version, "" where its build does not know it."""
    name = str(getattr(health, "tag_name", None) or "")
    return "" if name == "unknown" else name
