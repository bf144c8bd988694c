"""The tab that searches: a query of one image or several, filters, results, and one of them opened large."""

from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from vireid.errors import UserError
from vireid.inference.queries import BY
from vireid.page.finder import AUTO, MOST, Filters, Finder
from vireid.page.parts import Upload, error_line, made_picture, tiles, upload_place

EMPTY = "Drop an image to search."
# Calls of one group are answered in their order: the last answer is that of the last call.
SEARCHING: dict[str, Any] = {"concurrency_id": "search", "show_progress": "minimal"}
MOST_IMAGES = 20  # of a query


class SearchTab:
    """The tab that searches for a query."""

    def __init__(self, finder: Finder, examples: Sequence[Path]) -> None:
        self.finder, self.examples = finder, examples
        with gr.Row():
            with gr.Column(scale=1, min_width=260):
                self.query = upload_place("Query", "query")
                self.more = gr.File(
                    label="More images of the same person",
                    file_count="multiple",
                    file_types=["image"],
                    height=150,
                    elem_id="more",
                )
                if examples:
                    pictures = [Image.open(path) for path in examples]
                    label = "Or click one of these infrared images"
                    clickable = tiles(label, "examples", 4, value=pictures)
                with gr.Accordion("Filters", open=True):
                    self.filters = _filters(finder)
            with gr.Column(scale=3, min_width=300):
                said = gr.HTML(EMPTY, elem_id="said", elem_classes="said")
                with gr.Column(visible=False, elem_id="opened") as opened:
                    with gr.Row():
                        options: dict[str, Any] = {"height": 380, "min_width": 120, "buttons": ["fullscreen"]}
                        pair = [
                            made_picture(name, f"opened-{name.lower()}", **options)
                            for name in ("Query", "Result")
                        ]
                    caption = gr.HTML(elem_id="opened-said", elem_classes="said")
                    with gr.Row():
                        again = gr.Button("Search by this result")
                        close = gr.Button("Close")
                results = tiles("Gallery images", "results", 6, show_label=False, elem_classes="results")
                line = gr.HTML("", elem_id="line")
                below = tiles("Nobody", "below", 6, show_label=False, elem_classes="results", visible=False)
        found = gr.State([[], []])  # paths and captions of the results above the line and below it
        taken = gr.State("")  # the path of the result that is opened
        self.outputs = [results, line, below, found, said, opened]

        top, cameras, after, before, *choices = self.filters
        for event in (
            self.query.upload,
            self.query.clear,
            self.more.upload,
            self.more.delete,
            self.more.clear,
        ):
            self.search_at(event)
        for event in (after.submit, after.blur, before.submit, before.blur):
            self.search_at(event)
        for control in (top, cameras, *choices):
            self.search_at(control.change, trigger_mode="always_last")
        for number, shown in enumerate((results, below)):
            shown.select(
                self._opener(number),
                [found, self.query, self.more],
                [*pair, caption, taken, opened],
                preprocess=False,
            )
        close.click(lambda: gr.Column(visible=False), None, opened)
        everything = [self.query, self.more, *self.outputs]
        again.click(self.search_by_result, [taken, *self.filters], everything, **SEARCHING)
        if examples:
            clickable.select(self.search_by_example, self.filters, everything, **SEARCHING)

    def search_at(self, event: Callable[..., Any], **options: Any) -> None:
        """Search by the query whenever ``event`` happens."""
        inputs = [self.query, self.more, *self.filters]
        event(self.search, inputs, self.outputs, preprocess=False, **SEARCHING, **options)

    def search(self, upload: Upload, more: list[Upload] | None, *values: Any) -> tuple[Any, ...]:
        """Search by uploads."""
        uploads = [one for one in (upload, *(more or ())) if one]
        if not uploads:
            return _no_results(EMPTY)
        return self._answer(lambda: self._read(uploads), values)

    def search_by_result(self, path: str, *values: Any) -> tuple[Any, ...]:
        """Make the result that is opened the query."""
        return self._take(lambda: self.finder.picture(path), values)

    def search_by_example(self, event: gr.SelectData, *values: Any) -> tuple[Any, ...]:
        """Make an example that was clicked the query."""
        path = self.examples[event.index]
        return self._take(lambda: self.finder.limits.read(path, "the example"), values)

    def _read(self, uploads: Sequence[dict[str, Any]]) -> list[Image.Image]:
        if len(uploads) > MOST_IMAGES:
            raise UserError(f"a query has at most {MOST_IMAGES} images, and these are {len(uploads)}")
        return [self.finder.limits.read_upload(upload) for upload in uploads]

    def _opener(self, number: int) -> Callable[..., tuple[Any, ...]]:
        """What a click on a result above the line (0) or below it (1) does: opens it beside the query."""

        def open_result(
            event: gr.SelectData, found: list[Any], upload: Upload, more: list[Upload] | None
        ) -> tuple[Any, ...]:
            path, caption = found[number][event.index] if event.index < len(found[number]) else ("", "")
            try:  # the session may have been forgotten
                result = self.finder.picture(path)
                first = upload or next(iter(more or ()), None)
                query = self.finder.limits.read_upload(first) if first else None
            except UserError as error:
                return None, None, error_line(error), "", gr.Column(visible=True)
            said = escape(caption).replace("\n", " · ")
            return _large(query), _large(result), said, path, gr.Column(visible=True)

        return open_result

    def _take(self, read: Callable[[], Image.Image], values: Sequence[Any]) -> tuple[Any, ...]:
        try:
            image = read()
        except UserError as error:
            return *(gr.skip() for _ in range(6)), error_line(error), gr.skip()
        return image, None, *self._answer(lambda: [image], values)

    def _answer(self, read: Callable[[], list[Image.Image]], values: Sequence[Any]) -> tuple[Any, ...]:
        try:
            answered = self.finder.find(read(), Filters(*values))
        except UserError as error:
            return _no_results(error_line(error))
        parts = [answered.cards[: answered.above], answered.cards[answered.above :]]
        shown = [[(card.picture, card.caption) for card in cards] for cards in parts]
        return (
            gr.Gallery(shown[0], selected_index=None),
            answered.line and f'<p class="line">{escape(answered.line)}</p>',
            gr.Gallery(shown[1], selected_index=None, visible=bool(shown[1])),
            [[(card.match.path, card.caption) for card in cards] for cards in parts],
            escape(answered.said),
            gr.Column(visible=False),
        )


def _no_results(said: str) -> tuple[Any, ...]:
    return [], "", gr.Gallery([], visible=False), [[], []], said, gr.Column(visible=False)


def _large(image: Image.Image | None) -> Image.Image | None:
    """An image at twice its size or more, where it is small."""
    if image is None:
        return None
    scale = max(1, 512 // image.height)
    return image.resize((scale * image.width, scale * image.height), Image.Resampling.LANCZOS)


def _filters(finder: Finder) -> list[Any]:
    """Inputs in the order of the attributes of ``Filters``."""
    rates = [(f"{100 * rate:g} %", rate) for rate in finder.rates()]
    return [
        gr.Slider(1, MOST, 12, step=1, label="Results", elem_id="top"),
        gr.Dropdown(finder.cameras(), multiselect=True, label="Cameras", elem_id="cameras"),
        gr.Textbox(label="Taken at or after", placeholder="2026-01-31 18:30", elem_id="after"),
        gr.Textbox(label="Taken before", placeholder="2026-02-01", elem_id="before"),
        gr.Radio(["any", "visible", "infrared"], value="any", label="Modality of the results"),
        gr.Radio(
            [AUTO, "visible", "infrared"],
            value=AUTO,
            label="Modality of the query",
            info="auto: infrared where it has no color",
        ),
        gr.Radio([*BY], value="image", label="A result for each", elem_id="by"),
        gr.Radio(
            [(AUTO, AUTO), *rates],
            value=AUTO,
            label="Nobody, at a false alarm rate of",
            elem_id="rate",
            visible=bool(rates),
        ),
    ]
