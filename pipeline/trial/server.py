"""The server of the page: this machine only, nothing from elsewhere."""

import re
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route

from audiostyle.errors import InputError
from audiostyle.untrusted import json_value
from pipeline.trial.sounds import Limits, Sounds
from pipeline.trial.transfers import MOST_STYLES, Transfers, offered_methods

_PAGE = Path(__file__).parent / "page"
_TYPES = {"try.css": "text/css", "try.js": "text/javascript"}
# What the page loads is its own: it works without a network, and sends nothing anywhere.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_MOST_JSON = 10_000  # bytes

Handler = Callable[[Request], Awaitable[Response]]


def new_secret() -> str:
    """The first part of the page's path: another user of this machine cannot guess it."""
    return secrets.token_urlsafe(12)


def application(
    folder: Path, model: Path, model_name: str, limits: Limits, secret: str
) -> tuple[Starlette, Transfers]:
    """The application, and its transfers, to be closed at the end.

    folder: for recordings and results. model: a classifier's folder. secret: see `new_secret`; all
    other paths are answered with 404.
    """
    sounds = Sounds(folder, limits)
    transfers = Transfers(sounds, model)

    async def page(_: Request) -> Response:
        return FileResponse(_PAGE / "index.html", media_type="text/html")

    async def asset(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in _TYPES:
            return PlainTextResponse("not found", 404)
        return FileResponse(_PAGE / name, media_type=_TYPES[name])

    async def session(_: Request) -> Response:
        return JSONResponse(
            {
                "model": model_name,
                "methods": offered_methods(),
                "limits": {
                    "seconds": limits.seconds,
                    "megabytes": limits.megabytes,
                    "styles": MOST_STYLES,
                },
                "transfers": [each.described() for each in transfers.all()],
            }
        )

    async def upload(request: Request) -> Response:
        # Of a path, which a browser does not send, the file's own name.
        name = re.split(r"[/\\]", request.query_params.get("name", ""))[-1][:200] or "recording"
        path = await sounds.receive(name, request.stream())
        sound = await run_in_threadpool(sounds.add, name, path)
        return JSONResponse(sound.described(), 201)

    async def hear(request: Request) -> Response:
        return FileResponse(sounds.get(request.path_params["id"]).playable)

    async def download(request: Request) -> Response:
        sound = sounds.get(request.path_params["id"])
        return FileResponse(sound.file, filename=sound.name)

    async def picture(request: Request) -> Response:
        sound = sounds.get(request.path_params["id"])
        image = await run_in_threadpool(sounds.picture, sound)
        return Response(image, media_type="image/webp")

    async def start(request: Request) -> Response:
        asked = await _json(request)
        settings = asked.get("settings", {})
        if not isinstance(settings, dict):
            raise InputError("settings: an object is needed")
        styles = asked.get("styles", [])
        if not isinstance(styles, list):
            raise InputError("styles: a list is needed")
        content = str(asked.get("content", ""))
        started = transfers.start(content, [str(style) for style in styles], settings)
        return JSONResponse(started.described(), 201)

    async def cancel(request: Request) -> Response:
        return JSONResponse(transfers.cancel(request.path_params["number"]).described())

    async def manifest(request: Request) -> Response:
        row = transfers.get(request.path_params["number"]).manifest()
        named = {"Content-Disposition": f"attachment; filename*=utf-8''{quote('pairs.csv')}"}
        return Response(row, media_type="text/csv", headers=named)

    routes = [
        Route("/", page),
        Route("/session", session),
        Route("/recordings", upload, methods=["POST"]),
        Route("/recordings/{id}", hear),
        Route("/recordings/{id}/download", download),
        Route("/recordings/{id}/spectrogram", picture),
        Route("/transfers", start, methods=["POST"]),
        Route("/transfers/{number:int}/cancel", cancel, methods=["POST"]),
        Route("/transfers/{number:int}/pairs.csv", manifest),
        Route("/{name}", asset),
    ]
    app = Starlette(
        routes=[Mount(f"/{secret}", routes=routes)],
        middleware=[
            # A page of another host whose name leads here is refused.
            Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"]),
            Middleware(_Headers),
        ],
        exception_handlers={InputError: _refuse},
    )
    return app, transfers


class _Headers:
    """Adds the headers that every answer has."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                extra = [(name.lower().encode(), x.encode()) for name, x in _HEADERS.items()]
                message["headers"] = [*message["headers"], *extra]
            await send(message)

        await self._app(scope, receive, sending)


async def _refuse(_: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 422)


async def _json(request: Request) -> dict[str, Any]:
    """The object that a request holds. Raises InputError."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_JSON:
            raise InputError("the request is too large")
    try:
        value = json_value(body)
    except ValueError:
        raise InputError("the request is not JSON") from None
    if not isinstance(value, dict):
        raise InputError("the request is not an object")
    return value
