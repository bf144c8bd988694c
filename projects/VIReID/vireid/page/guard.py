"""What the page answers: calls to its own names, for its own routes, with files that were uploaded to it.

Gradio opens any file that a call names, and fetches any address. So each call is checked here, before Gradio
sees it, and what Gradio does not need is left out of it.
"""

import json
import os
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
REFUSED_FILE = "the page reads files that were uploaded to it, and no others; upload the image again"
REFUSED_HOST = "the page does not answer to this host's name; call it localhost, or start it with this name"
FILE, CALL, UPLOAD = "/gradio_api/file=", "/gradio_api/queue/join", "/gradio_api/upload"
# What a browser asks for that shows the page. Gradio has many more routes, and the page needs none of them.
READ = re.compile(
    r"/|/(config|theme\.css|favicon\.ico|manifest\.json|robots\.txt)|/(assets|static)/.+"
    rf"|/gradio_api/(upload_progress|queue/data|heartbeat/\w+)|{FILE}.+"
)
WRITE = re.compile(rf"{CALL}|{UPLOAD}|/gradio_api/(cancel|reset)")
LARGEST_CALL = 1 << 20  # bytes; images are uploaded apart
HOST = re.compile(r"(\[[0-9a-f:.]+\]|[\w.-]+)(:\d{1,5})?", re.ASCII)
# A browser asks no other server, whatever Gradio's files name.
POLICY = (
    "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'self'; form-action 'self'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


class Guard:
    """An ASGI application around the page.

    Args:
        app: the page.
        names: of hosts, by which the page may be called beside those of the loopback.
        folder: of uploaded files and of the pictures that the page has made.
    """

    def __init__(self, app: ASGIApp, names: Collection[str], folder: Path) -> None:
        self.app, self.folder = app, folder
        bare = [name.lower().strip("[]") for name in (*LOOPBACK_NAMES, *names)]
        self.names = {f"[{name}]" if ":" in name else name for name in bare}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it in one line."""
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        if scope["type"] != "http":
            return await WebSocketClose()(scope, receive, send)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        try:
            self._check_names(Headers(scope=scope))
            self._check_route(scope["method"], scope["path"])
            if scope["path"] == CALL:
                call = self._checked_call(await _body(Request(scope, receive)))
                receive = _in_place_of_body(call, receive)
        except HTTPException as refused:
            answer = JSONResponse({"detail": refused.detail}, refused.status_code)
            return await answer(scope, receive, send_with_headers)
        except ClientDisconnect:
            return None
        await self.app(scope, receive, send_with_headers)

    def _check_names(self, headers: Headers) -> None:
        """Refuse a call by another name: a web page can give its own name this machine's address."""
        hosts = headers.getlist("host")
        forwarded = [part.strip() for line in headers.getlist("x-forwarded-host") for part in line.split(",")]
        if len(hosts) != 1 or not all(map(self._is_own, hosts + forwarded)):
            raise HTTPException(421, REFUSED_HOST)
        for origin in headers.getlist("origin"):
            scheme, _, host = origin.partition("://")
            if scheme not in ("http", "https") or not self._is_own(host):
                raise HTTPException(403, "the page does not answer another web page")

    def _is_own(self, host: str) -> bool:
        found = HOST.fullmatch(host.lower())
        return found is not None and found[1] in self.names

    def _check_route(self, method: str, path: str) -> None:
        routes = {"GET": READ, "HEAD": READ, "POST": WRITE}.get(method)
        if routes is None or not routes.fullmatch(path):
            raise HTTPException(404, "the page has no such route")
        if path.startswith(FILE):
            self._own_file(path.removeprefix(FILE))

    def _own_file(self, path: Any) -> str:
        """Find the file, links followed, that the page itself keeps.

        Raises:
            HTTPException: it lies elsewhere, or there is none: the error does not tell which.
        """
        try:
            real = Path(os.path.realpath(path))
            if real.is_relative_to(os.path.realpath(self.folder)) and real.is_file():
                return str(real)
        except (TypeError, ValueError, OSError):  # no text; a null byte; a name that is too long
            pass
        raise HTTPException(403, REFUSED_FILE)

    def _checked_call(self, body: bytes) -> bytes:
        """Keep what Gradio needs of a call of a function, and nothing else.

        Raises:
            HTTPException: it has another form, or names a file that the page does not keep.
        """
        try:
            call = json.loads(body)
            event = call.get("event_data")
            index = event.get("index") if isinstance(event, dict) else None
            checked = {name: call.get(name) for name in ("fn_index", "trigger_id", "session_hash")}
            checked["data"] = [self._checked_value(value) for value in call["data"]]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise HTTPException(400, "this is no call of the page's functions") from None
        clicked = isinstance(index, int) and index >= 0
        checked["event_data"] = {"index": index, "value": None} if clicked else None
        return json.dumps(checked).encode()

    def _checked_value(self, value: Any) -> Any:
        """Keep a plain value, a list of texts or of uploaded files, or such a file, under the name it had."""
        if isinstance(value, dict):
            name = value.get("orig_name")
            return {
                "path": self._own_file(value.get("path")),
                "orig_name": name if isinstance(name, str) else None,
                "meta": {"_type": "gradio.FileData"},
            }
        if isinstance(value, list):
            if value and all(isinstance(item, dict) for item in value):
                return [self._checked_value(item) for item in value]
            if not all(isinstance(item, str) for item in value):
                raise TypeError
        return value


async def _body(request: Request) -> bytes:
    """Read the body of a request.

    Raises:
        HTTPException: it has more than LARGEST_CALL bytes.
    """
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_CALL:
            raise HTTPException(413, f"a call has more than {LARGEST_CALL:,} bytes")
    return body


def _in_place_of_body(body: bytes, receive: Receive) -> Receive:
    """Give ``body`` first, and then what ``receive`` gives."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def give() -> Message:
        return messages.pop() if messages else await receive()

    return give
