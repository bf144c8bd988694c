"""Serving the page: to this machine alone, without anything from outside, without telling anyone."""

import contextlib
import errno
import socket
import threading
from collections.abc import Sequence

import gradio as gr
import uvicorn
from fastapi import FastAPI

from vireid.errors import ConfigError
from vireid.page import FOLDER
from vireid.page.guard import Guard
from vireid.page.uploads import Limits

LOOPBACK = "127.0.0.1"
EVERYWHERE = ("0.0.0.0", "::")  # hosts that stand for every address of this machine
PORTS = range(7860, 7960)
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
.line { border-top: 2px solid var(--primary-500); padding-top: 0.2rem; }
@media (max-width: 40rem) {
    .results .grid-container { grid-template-columns: repeat(auto-fill, minmax(6.5rem, 1fr)) !important; }
    .results .thumbnail-lg img { height: 9rem; }
}
"""


def listen(host: str = LOOPBACK, port: int | None = None) -> socket.socket:
    """Make a socket that listens.

    Args:
        host: the name or address; LOOPBACK: this machine alone can reach it.
        port: None: the first free one of PORTS.

    Raises:
        ConfigError: the port is taken, or there is no such host.
    """
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for number in PORTS if port is None else (port,):
        try:
            return socket.create_server((host, number), family=family)
        except (OSError, OverflowError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            if getattr(error, "errno", None) != errno.EADDRINUSE:
                break
    raise ConfigError(f"the page cannot listen at {host}, port {number} ({reason}); choose another")


def serve(page: gr.Blocks, listening: socket.socket, *, names: Sequence[str], limits: Limits) -> None:
    """Serve a page until the process is interrupted.

    Args:
        page: of ``build_page``.
        listening: of ``listen``.
        names: of hosts, by which a browser may call it, beside those of the loopback.
        limits: on uploads.
    """
    server = page_server(page, names=names, limits=limits)
    host, port = listening.getsockname()[:2]
    shown = "localhost" if host in EVERYWHERE else f"[{host}]" if ":" in host else host
    print(f"The page is at http://{shown}:{port}/ (Ctrl-C ends it)", flush=True)
    # In the main thread, a server waits for every open tab before it ends.
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    with contextlib.suppress(KeyboardInterrupt):
        thread.join()


def page_server(page: gr.Blocks, *, names: Sequence[str], limits: Limits) -> uvicorn.Server:
    """Make a server of a page, which its ``run`` starts; see ``serve``."""
    app = gr.mount_gradio_app(
        FastAPI(docs_url=None, redoc_url=None, openapi_url=None),
        page,
        path="/",
        show_error=False,
        max_file_size=f"{limits.megabytes}mb",
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        theme=gr.themes.Default(
            font=[gr.themes.Font("system-ui"), gr.themes.Font("sans-serif")],
            font_mono=[gr.themes.Font("ui-monospace"), gr.themes.Font("monospace")],
        ),
        css=STYLE,
    )
    guarded = Guard(app, names, FOLDER)
    return uvicorn.Server(
        uvicorn.Config(guarded, log_level="warning", ws="none", timeout_graceful_shutdown=1)
    )
