"""What the tabs of the page are made of."""

from html import escape
from typing import Any

import gradio as gr
from PIL import Image

Upload = dict[str, Any] | None  # Gradio's description of an uploaded file


def upload_place(label: str, name: str, value: Image.Image | None = None) -> gr.Image:
    """A place for an image."""
    return gr.Image(
        value,
        label=label,
        sources=["upload", "clipboard"],
        format="png",
        height=320,
        buttons=[],
        elem_id=name,
    )


def made_picture(label: str, name: str, **options: Any) -> gr.Image:
    """A picture that the page makes."""
    return gr.Image(label=label, elem_id=name, interactive=False, format="png", **options)


def tiles(label: str, name: str, columns: int, **options: Any) -> gr.Gallery:
    """Pictures side by side, each of which can be clicked."""
    return gr.Gallery(
        label=label,
        elem_id=name,
        columns=columns,
        height="auto",
        object_fit="contain",
        allow_preview=False,
        interactive=False,
        buttons=[],
        **options,
    )


def error_line(error: Exception) -> str:
    """Write an error as a line of the page."""
    return f'<p class="error" role="alert">{escape(str(error))}</p>'
