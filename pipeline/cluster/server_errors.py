"""Errors of a Kubeflow Pipelines server: what each means, in one line."""

import json
import re
from urllib.parse import urlsplit

import urllib3
from kfp_server_api import ApiException

from audiostyle.errors import AudiostyleError, InputError
from pipeline.cluster.token import TOKEN, Token

_PASSING = (429, 500, 502, 503, 504)
# What a database cannot store today it cannot store tomorrow, though the server calls it its own
# error: 1366 and 1267 for characters, 1406 for a text that is too long.
_UNSTORABLE = re.compile(r"Error 1366|Error 1267|Error 1406|Data too long|Incorrect string value")

# The server's upload says 400 where it means 403, and nothing of why.
_UPLOAD_REFUSED = ": Failed to create a pipeline version"


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


def explained(error: ApiException, host: str, token: Token) -> AudiostyleError:
    """What an error of the server means, as ours. token: with which it was asked."""
    message = _message(error)
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
        if not token.value:
            return RefusedError(
                f"{host}: wants a token; give --token-file, {TOKEN} or"
                " cluster.connection.token_file"
            )
        return RefusedError(
            f"{host}: refuses the token of {token.source}{message}; it may have expired, or be"
            " meant for others than pipelines.kubeflow.org: put a new one there"
        )
    if error.status == 403 or (error.status == 400 and message == _UPLOAD_REFUSED):
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


def no_answer(error: urllib3.exceptions.HTTPError, limit: tuple[float, float]) -> str:
    """Why no answer came, in words. limit: seconds to connect, and to be answered."""
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


def _target(error: ApiException) -> str:
    """Where a redirection leads, without the query, which may hold what nobody else should see."""
    parts = urlsplit(str((error.headers or {}).get("Location", "")))
    where = f"{parts.scheme}://{parts.hostname or ''}" if parts.hostname else ""
    return f" to {where}{parts.path}" if where or parts.path else ""


def _message(error: ApiException) -> str:
    """What the server says, in one line."""
    text = str(error.body or error.reason or "")
    try:
        body = json.loads(text)
        keys = ("error_message", "message", "error")  # error_details adds the server's stack
        text = next((str(body[key]) for key in keys if body.get(key)), "")
    except (ValueError, AttributeError):
        text = "" if text.lstrip().startswith("<") else text
    text = shortened(text)
    return f": {text}" if text else ""


def shortened(text: str, most: int = 300) -> str:
    """One line of a chain of errors: what was to be done, and at the end why it failed."""
    text = " ".join(text.split())
    half = most // 2 - 2
    return text if len(text) <= most else f"{text[:half]} … {text[-half:]}"
