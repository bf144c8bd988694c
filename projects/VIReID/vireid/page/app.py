"""The page itself: what stands where, and what a click does.

A handler that reads uploads takes its inputs with ``preprocess=False``: an image is then a dict with the path
of its file, which the guard has checked, and ``Limits.read_upload`` is the first to open it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from vireid.errors import UserError
from vireid.page.finder import MOST, Filters, Finder
from vireid.page.run_pictures import RunPictures
from vireid.page.uploads import mix_images

TITLE = "Visible-infrared person search"
KEPT = 6 * 3600  # seconds for which the server keeps what was uploaded, and what it has drawn
EMPTY = "Drop an image to search."
# Calls of one group are answered in their order: the last answer is that of the last call.
SEARCHING: dict[str, Any] = {"concurrency_id": "search", "show_progress": "minimal"}
MIXING: dict[str, Any] = {"concurrency_id": "mix", "show_progress": "hidden", "preprocess": False}
Upload = dict[str, Any] | None  # Gradio's description of an uploaded file


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
                search = SearchTab(content)
            with gr.Tab("Mix", id="mix"):
                mixing = MixTab(content)
            if content.pictures.names:
                with gr.Tab("Figures", id="figures"):
                    _pictures_tab(content.pictures)
        page.load(mixing.mix, mixing.inputs, mixing.outputs, **MIXING)
        mixing.use.click(lambda: gr.Tabs(selected="search"), None, tabs)
        taken = mixing.use.click(
            lambda upload: upload and upload["path"], mixing.mixed, search.query, preprocess=False
        )
        search.search_at(taken.then)
    return page


class SearchTab:
    """The tab that searches for a query."""

    def __init__(self, content: Content) -> None:
        self.finder, self.examples = content.finder, content.examples
        with gr.Row():
            with gr.Column(scale=1, min_width=260):
                self.query = _upload("Query", "query")
                if self.examples:
                    pictures = [Image.open(path) for path in self.examples]
                    label = "Or click one of these infrared images"
                    examples = _tiles(label, "examples", 4, value=pictures)
                with gr.Accordion("Filters", open=True):
                    self.filters = _filters(self.finder.cameras())
            with gr.Column(scale=3, min_width=300):
                said = gr.HTML(EMPTY, elem_id="said", elem_classes="said")
                results = _tiles("Gallery images", "results", 6, show_label=False, elem_classes="results")
        found = gr.State([])  # paths of the results that are shown
        self.outputs = [results, found, said]

        top, cameras, after, before, of, modality = self.filters
        self.query.clear(lambda: ([], [], EMPTY), None, self.outputs)
        for event in (self.query.upload, after.submit, after.blur, before.submit, before.blur):
            self.search_at(event)
        for control in (top, cameras, of, modality):
            self.search_at(control.change, trigger_mode="always_last")
        shown = [self.query, *self.outputs]
        results.select(self.search_by_result, [found, *self.filters], shown, **SEARCHING)
        if self.examples:
            examples.select(self.search_by_example, self.filters, shown, **SEARCHING)

    def search_at(self, event: Callable[..., Any], **options: Any) -> None:
        """Search by the query whenever ``event`` happens."""
        inputs = [self.query, *self.filters]
        event(self.search, inputs, self.outputs, preprocess=False, **SEARCHING, **options)

    def search(self, upload: Upload, *values: Any) -> tuple[Any, ...]:
        """Search by an upload."""
        if upload is None:
            return [], [], EMPTY
        return self._answer(lambda: self.finder.limits.read_upload(upload), values)

    def search_by_result(self, event: gr.SelectData, paths: list[str], *values: Any) -> tuple[Any, ...]:
        """Make a result that was clicked the query."""
        path = paths[event.index] if event.index < len(paths) else ""  # the session has been forgotten
        return self._take(lambda: self.finder.picture(path), values)

    def search_by_example(self, event: gr.SelectData, *values: Any) -> tuple[Any, ...]:
        """Make an example that was clicked the query."""
        path = self.examples[event.index]
        return self._take(lambda: self.finder.limits.read(path, "the example"), values)

    def _take(self, read: Callable[[], Image.Image], values: Sequence[Any]) -> tuple[Any, ...]:
        try:
            image = read()
        except UserError as error:
            return gr.skip(), gr.skip(), gr.skip(), error_line(error)
        return image, *self._answer(lambda: image, values)

    def _answer(self, read: Callable[[], Image.Image], values: Sequence[Any]) -> tuple[Any, ...]:
        try:
            answered = self.finder.find(read(), Filters(*values))
        except UserError as error:
            return [], [], error_line(error)
        paths = [match.path for match in answered.matches]
        return gr.Gallery(answered.pictures, selected_index=None), paths, escape(answered.said)


class MixTab:
    """The tab that mixes two images."""

    def __init__(self, content: Content) -> None:
        self.limits, self.size = content.finder.limits, content.size
        gr.Markdown(
            "Patches of a visible and an infrared image are stitched together, as PMCM trains on them."
        )
        start: list[Any] = [Image.open(path) for path in content.pair] or [None, None]
        with gr.Row():
            visible = _upload("Visible image", "visible", start[0])
            infrared = _upload("Infrared image", "infrared", start[1])
            self.mixed = _picture("Mixed image", "mixed", height=320, buttons=["download"])
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
    shown = _picture("Figure", "figure", show_label=False, buttons=["download", "fullscreen"])

    def draw(name: str) -> tuple[Any, str]:
        try:
            picture, line = pictures.draw(name)
        except UserError as error:
            return None, error_line(error)
        return picture, escape(line)

    which.change(draw, which, [shown, said])


def _filters(cameras: list[str]) -> list[Any]:
    """Inputs in the order of the attributes of ``Filters``."""
    return [
        gr.Slider(1, MOST, 12, step=1, label="Results", elem_id="top"),
        gr.Dropdown(cameras, multiselect=True, label="Cameras", elem_id="cameras"),
        gr.Textbox(label="Taken at or after", placeholder="2026-01-31 18:30", elem_id="after"),
        gr.Textbox(label="Taken before", placeholder="2026-02-01", elem_id="before"),
        gr.Radio(["any", "visible", "infrared"], value="any", label="Modality of the results"),
        gr.Radio(
            ["auto", "visible", "infrared"],
            value="auto",
            label="Modality of the query",
            info="auto: infrared where it has no color",
        ),
    ]


def _upload(label: str, name: str, value: Image.Image | None = None) -> gr.Image:
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


def _picture(label: str, name: str, **options: Any) -> gr.Image:
    """A picture that the page makes."""
    return gr.Image(label=label, elem_id=name, interactive=False, format="png", **options)


def _tiles(label: str, name: str, columns: int, **options: Any) -> gr.Gallery:
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
