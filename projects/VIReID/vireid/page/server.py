"""Serving the page: to this machine alone, without anything from outside, without telling anyone."""

import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from vireid.page.limits import Limits

if TYPE_CHECKING:
    from gradio import Blocks

Message = MutableMapping[str, Any]
# Results flow into as many columns as fit, captions stand below the images.
STYLE = """
.gradio-container, .gradio-container .fillable {
    width: 100% !important; max-width: 90rem !important; margin: 0 auto !important; }
footer { display: none !important; }
.said p { margin: 0.2rem 0; }
.error { color: #b3261e; font-weight: 600; }
.dark .error { color: #ffb4ab; }
#examples .grid-wrap, .results .grid-wrap {
    min-height: 0 !important; height: auto !important; max-height: none !important; }
#examples .grid-wrap { padding-top: 1.8rem; overflow-x: hidden; }
#examples .grid-container { grid-template-columns: repeat(4, minmax(0, 1fr)) !important; }
#examples .thumbnail-item { min-width: 0; }
.results .grid-container { grid-template-columns: repeat(auto-fill, minmax(8rem, 1fr)) !important; }
.results .thumbnail-lg { height: auto !important; aspect-ratio: auto !important; overflow: visible; }
.results .thumbnail-lg img { height: 11rem; width: 100%; object-fit: contain; }
.results .caption-label { position: static !important; display: block; max-width: none !important;
    white-space: pre-line !important; text-align: left; opacity: 1; border: none; line-height: 1.35; }
@media (max-width: 40rem) {
    .results .grid-container { grid-template-columns: repeat(auto-fill, minmax(6.5rem, 1fr)) !important; }
    .results .thumbnail-lg img { height: 9rem; }
}
"""
LOOPBACK = "127.0.0.1"
# A browser refuses what these do not allow, whatever Gradio's files ask for.
POLICY = "; ".join(
    [
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "media-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self' data: blob:",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    ]
)
HEADERS = {
    b"content-security-policy": POLICY.encode(),
    b"referrer-policy": b"no-referrer",
    b"x-content-type-options": b"nosniff",
}
OUTSIDE = re.compile(
    rb"<(?:link|script)\b[^>]*?(?:href|src)=\"https?://[^>]*?>(?:\s*</script>)?", re.IGNORECASE
)


class OnlyThisServer:
    """Middleware: headers that keep a browser from asking anyone else, and pages that do not want to.

    Args:
        app: the ASGI application.
    """

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        # Pages are changed on the way, which works on text that is not compressed.
        kept = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]
        scope = {**scope, "headers": kept}
        start: Message = {}
        body = bytearray()

        async def changed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [(k, v) for k, v in message["headers"] if k.lower() not in HEADERS]
                message = {**message, "headers": [*headers, *HEADERS.items()]}
                if b"text/html" in dict(headers).get(b"content-type", b""):
                    start.update(message)
                    return
            elif start:
                body.extend(message.get("body", b""))
                if message.get("more_body"):
                    return
                page = OUTSIDE.sub(b"", bytes(body))
                headers = [(k, v) for k, v in start["headers"] if k.lower() != b"content-length"]
                await send({**start, "headers": [*headers, (b"content-length", str(len(page)).encode())]})
                message = {"type": "http.response.body", "body": page}
            await send(message)

        await self.app(scope, receive, changed)


def serve(
    page: "Blocks", *, host: str = LOOPBACK, port: int | None = None, limits: Limits, wait: bool = True
) -> str:
    """Serve a page.

    Args:
        page: of ``build_page``.
        host: the address it listens on; LOOPBACK: this machine alone can reach it.
        port: None: the first free one from 7860.
        limits: on uploads.
        wait: until the process is interrupted.

    Returns:
        The page's address, where it does not wait.

    Raises:
        OSError: the port is taken.
    """
    import gradio as gr
    from starlette.middleware import Middleware

    theme = gr.themes.Default(
        font=[gr.themes.Font("system-ui"), gr.themes.Font("sans-serif")],
        font_mono=[gr.themes.Font("ui-monospace"), gr.themes.Font("monospace")],
    )
    _, address, _ = page.launch(
        server_name=host,
        server_port=port,
        share=False,
        prevent_thread_lock=True,
        quiet=True,
        max_file_size=f"{limits.megabytes}mb",
        allowed_paths=[],
        blocked_paths=[],
        enable_monitoring=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        footer_links=[],
        theme=theme,
        css=STYLE,
        app_kwargs={
            "middleware": [Middleware(OnlyThisServer)],
            "docs_url": None,
            "redoc_url": None,
            "openapi_url": None,
        },
    )
    print(f"The page is at {address} (Ctrl-C ends it)", flush=True)
    if wait:
        page.block_thread()
    return str(address)
