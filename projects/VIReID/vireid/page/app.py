"""The page itself: what stands where, and what a click does.

A handler that reads uploads takes its inputs with ``preprocess=False``: an image is then a dict with the path
of its file, which the guard has checked, and ``Limits.read_upload`` is the first to open it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from vireid.errors import UserError
from vireid.page.finder import Finder
from vireid.page.parts import Upload, error_line, made_picture, upload_place
from vireid.page.run_pictures import RunPictures
from vireid.page.search_tab import SearchTab
from vireid.page.uploads import mix_images

TITLE = "Visible-infrared person search"
KEPT = 6 * 3600  # seconds for which the server keeps what was uploaded, and what it has drawn
MIXING: dict[str, Any] = {"concurrency_id": "mix", "show_progress": "hidden", "preprocess": False}


@dataclass(frozen=True, eq=False)
class Content:
    """What a page shows.

    Attributes:
        finder: of the gallery.
        size: (height, width) of a mixture: that of the model's images.
        pictures: of a run.
        examples: images of which a click makes queries.
        pair: a visible and an infrared image that the mixing tab starts with.
    """

    finder: Finder
    size: Sequence[int]
    pictures: RunPictures
    examples: Sequence[Path] = ()
    pair: Sequence[Path] = ()


def build_page(content: Content) -> gr.Blocks:
    """Build the page, which ``vireid.page.server.serve`` serves."""
    with gr.Blocks(
        title=TITLE, analytics_enabled=False, fill_width=True, delete_cache=(KEPT // 4, KEPT)
    ) as page:
        gr.Markdown(f"## {TITLE}\n{escape(content.finder.about())}")
        with gr.Tabs() as tabs:
            with gr.Tab("Search", id="search"):
                search = SearchTab(content.finder, content.examples)
            with gr.Tab("Mix", id="mix"):
                mixing = MixTab(content)
            if content.pictures.names:
                with gr.Tab("Figures", id="figures"):
                    _pictures_tab(content.pictures)
        page.load(mixing.mix, mixing.inputs, mixing.outputs, **MIXING)
        mixing.use.click(lambda: gr.Tabs(selected="search"), None, tabs)
        taken = mixing.use.click(
            lambda upload: (upload and upload["path"], None),
            mixing.mixed,
            [search.query, search.more],
            preprocess=False,
        )
        search.search_at(taken.then)
    return page


class MixTab:
    """The tab that mixes two images."""

    def __init__(self, content: Content) -> None:
        self.limits, self.size = content.finder.limits, content.size
        gr.Markdown(
            "Patches of a visible and an infrared image are stitched together, as PMCM trains on them."
        )
        start: list[Any] = [Image.open(path) for path in content.pair] or [None, None]
        with gr.Row():
            visible = upload_place("Visible image", "visible", start[0])
            infrared = upload_place("Infrared image", "infrared", start[1])
            self.mixed = made_picture("Mixed image", "mixed", height=320, buttons=["download"])
        share = gr.Slider(0, 1, 0.5, step=0.05, label="p, the share of visible patches", elem_id="share")
        with gr.Row():
            again = gr.Button("Draw other patches")
            self.use = gr.Button("Search by the mixed image")
        said = gr.HTML("", elem_id="mix-said", elem_classes="said")
        seed = gr.State(0)
        self.inputs: list[Any] = [visible, infrared, share, seed]
        self.outputs = [self.mixed, said]
        again.click(lambda number: number + 1, seed, seed)
        for control in self.inputs:
            control.change(self.mix, self.inputs, self.outputs, trigger_mode="always_last", **MIXING)

    def mix(self, visible: Upload, infrared: Upload, share: float, seed: int) -> tuple[Any, str]:
        """Mix two uploads."""
        if visible is None or infrared is None:
            return None, "Drop a visible and an infrared image."
        try:
            first, second = (self.limits.read_upload(upload) for upload in (visible, infrared))
            picture = mix_images(first, second, share, self.size, seed)
        except UserError as error:
            return None, error_line(error)
        large = picture.resize((2 * picture.width, 2 * picture.height), Image.Resampling.NEAREST)
        return large, f"{round(100 * share)}% of the patches are the visible image's."


def _pictures_tab(pictures: RunPictures) -> None:
    which = gr.Radio(pictures.names, label="Figure", elem_id="which")
    said = gr.HTML("A figure takes a few seconds.", elem_id="figure-said", elem_classes="said")
    shown = made_picture("Figure", "figure", show_label=False, buttons=["download", "fullscreen"])

    def draw(name: str) -> tuple[Any, str]:
        try:
            picture, line = pictures.draw(name)
        except UserError as error:
            return None, error_line(error)
        return picture, escape(line)

    which.change(draw, which, [shown, said])
