"""Plain requests to one host: what remains of HTTP where speed counts."""

import contextlib
import threading
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import SplitResult, urlsplit

# Of an answer, by name in lower case.
Headers = dict[str, str]


class PlainHttp(threading.local):
    """Requests to one host, over a connection that every thread keeps for itself.

    urllib3, with copies and a pool, takes twice the time for half a megabyte.
    """

    def __init__(self) -> None:
        self._open: HTTPConnection | None = None

    def get(self, url: str, most: int | None) -> tuple[int, Headers, bytes | None]:
        """Status, headers and body of the answer; no body where it has more than `most` bytes.

        Raises HTTPException or OSError where none came.
        """
        parts = urlsplit(url)
        target = f"{parts.path}?{parts.query}"
        if self._open is not None:
            # Servers close connections on which nothing came for a while: once more, on a new one.
            with contextlib.suppress(HTTPException, OSError):
                return self._answer(self._open, target, most)
        return self._answer(_connected(parts), target, most)

    def _answer(
        self, connection: HTTPConnection, target: str, most: int | None
    ) -> tuple[int, Headers, bytes | None]:
        self._open = None
        try:
            connection.request("GET", target)
            with connection.getresponse() as answer:
                headers = {name.lower(): value for name, value in answer.getheaders()}
                size = answer.length
                if most is not None and (size is None or size > most):
                    connection.close()
                    return 0, headers, None  # boto3 says what is wrong
                content = answer.read()
        except BaseException:
            connection.close()  # with half an answer in it, it is of no use to another request
            raise
        self._open = connection
        return answer.status, headers, content


def _connected(parts: SplitResult) -> HTTPConnection:
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = kind(str(parts.hostname), parts.port, timeout=5)
    connection.connect()
    connection.sock.settimeout(60)
    return connection
