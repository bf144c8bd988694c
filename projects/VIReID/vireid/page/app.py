"""The page itself: what stands where, and what a click does."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from vireid.errors import UserError
from vireid.page.figures import RunFigures
from vireid.page.finder import MOST, Filters, Finder
from vireid.page.limits import Limits
from vireid.page.mixture import mix_images

TITLE = "Visible-infrared person search"
MODALITIES = ("auto", "visible", "infrared")
KEPT = 6 * 3600  # seconds for which the server keeps what was uploaded, and what it has drawn


@dataclass(frozen=True, eq=False)
class Content:
    """What a page shows.

    Attributes:
        finder: of the gallery.
        size: (height, width) of a mixture: that of the model's images.
        figures: of a run.
        examples: images of which a click makes queries.
        pair: a visible and an infrared image that the mixing tab starts with.
    """

    finder: Finder
    size: Sequence[int]
    figures: RunFigures
    examples: Sequence[Path] = ()
    pair: Sequence[Path] = field(default=())

    @property
    def limits(self) -> Limits:
        """On uploads."""
        return self.finder.limits


def build_page(content: Content) -> gr.Blocks:
    """The page, which ``vireid.page.server.serve`` serves."""
    with gr.Blocks(
        title=TITLE, analytics_enabled=False, fill_width=True, delete_cache=(KEPT // 4, KEPT)
    ) as page:
        gr.Markdown(f"## {TITLE}\n{escape(content.finder.about())}")
        with gr.Tabs() as tabs:
            with gr.Tab("Search", id="search"):
                query, search_by = _search_tab(content)
            with gr.Tab("Mix", id="mix"):
                page.load(*_mix_tab(content, tabs, query, search_by))
            if content.figures.names:
                with gr.Tab("Figures", id="figures"):
                    _figures_tab(content.figures)
    return page


def _search_tab(content: Content) -> tuple[gr.Image, Callable[[gr.Button, gr.Image], None]]:
    finder = content.finder
    found = gr.State([])  # paths of the results that are shown
    with gr.Row():
        with gr.Column(scale=1, min_width=260):
            query = _image("Query", "query")
            if content.examples:
                pictures = [Image.open(path) for path in content.examples]
                examples = _tiles("Or click one of these infrared images", "examples", 4, value=pictures)
            with gr.Accordion("Filters", open=True):
                top = gr.Slider(1, MOST, 12, step=1, label="Results", elem_id="top")
                cameras = gr.Dropdown(finder.cameras(), multiselect=True, label="Cameras", elem_id="cameras")
                after = gr.Textbox(label="Taken at or after", placeholder="2026-01-31 18:30", elem_id="after")
                before = gr.Textbox(label="Taken before", placeholder="2026-02-01", elem_id="before")
                of = gr.Radio(["any", "visible", "infrared"], value="any", label="Modality of the results")
                modality = gr.Radio(
                    list(MODALITIES),
                    value="auto",
                    label="Modality of the query",
                    info="auto: infrared where it has no color",
                )
        with gr.Column(scale=3, min_width=300):
            said = gr.HTML("Drop an image to search.", elem_id="said", elem_classes="said")
            results = _tiles("Gallery images", "results", 6, show_label=False, elem_classes="results")
    filters = [top, cameras, after, before, of, modality]
    outputs = [results, found, said]

    def search(upload: Any, *values: Any) -> tuple[Any, ...]:
        if upload is None:
            return [], [], "Drop an image to search."
        return answer(lambda: content.limits.read(upload.path, _name(upload)), *values)

    def answer(image_of: Callable[[], Image.Image], *values: Any) -> tuple[Any, ...]:
        try:
            answered = finder.find(image_of(), Filters(*values))
        except UserError as error:
            return [], [], error_line(error)
        paths = [match.path for match in answered.matches]
        return gr.Gallery(answered.pictures, selected_index=None), paths, escape(answered.said)

    def search_by_result(event: gr.SelectData, paths: list[str], *values: Any) -> tuple[Any, ...]:
        try:
            image = finder.picture(paths[event.index])
        except (UserError, IndexError) as error:
            return gr.skip(), gr.skip(), gr.skip(), error_line(error)
        return image, *answer(lambda: image, *values)

    def search_by_example(event: gr.SelectData, *values: Any) -> tuple[Any, ...]:
        image = content.limits.read(content.examples[event.index], "the example")
        return image, *answer(lambda: image, *values)

    def search_by(button: gr.Button, image: gr.Image) -> None:
        button.click(lambda upload: _kept(content, upload), image, query).then(
            search, [query, *filters], outputs, show_progress="minimal"
        )

    query.upload(search, [query, *filters], outputs, show_progress="minimal")
    query.clear(lambda: ([], [], "Drop an image to search."), None, outputs)
    for control in (top, cameras, of, modality):
        control.change(
            search, [query, *filters], outputs, trigger_mode="always_last", show_progress="minimal"
        )
    for moment in (after, before):
        for event in (moment.submit, moment.blur):
            event(search, [query, *filters], outputs, show_progress="minimal")
    results.select(search_by_result, [found, *filters], [query, *outputs], show_progress="minimal")
    if content.examples:
        examples.select(search_by_example, filters, [query, *outputs], show_progress="minimal")
    return query, search_by


def _mix_tab(
    content: Content,
    tabs: gr.Tabs,
    query: gr.Image,
    search_by: Callable[[gr.Button, gr.Image], None],
) -> tuple[Callable[..., Any], list[Any], list[Any]]:
    """Returns what the page does when it is opened: mixes the pair that it starts with."""
    gr.Markdown("Patches of a visible and an infrared image are stitched together, as PMCM trains on them.")
    start: list[Any] = [Image.open(path) for path in content.pair] or [None, None]
    with gr.Row():
        visible = _image("Visible image", "visible", start[0])
        infrared = _image("Infrared image", "infrared", start[1])
        mixed = _picture("Mixed image", "mixed", height=320, buttons=["download"])
    share = gr.Slider(0, 1, 0.5, step=0.05, label="p, the share of visible patches", elem_id="share")
    with gr.Row():
        again = gr.Button("Draw other patches")
        use = gr.Button("Search by the mixed image")
    said = gr.HTML("", elem_id="mix-said", elem_classes="said")
    seed = gr.State(0)

    def mix(first: Any, second: Any, value: float, number: int) -> tuple[Any, str]:
        if first is None or second is None:
            return None, "Drop a visible and an infrared image."
        try:
            one, other = (content.limits.read(upload.path, _name(upload)) for upload in (first, second))
            picture = mix_images(one, other, value, content.size, number)
        except UserError as error:
            return None, error_line(error)
        large = picture.resize((2 * picture.width, 2 * picture.height), Image.Resampling.NEAREST)
        return large, f"{round(100 * value)}% of the patches are the visible image's."

    inputs, outputs = [visible, infrared, share, seed], [mixed, said]
    for control in (visible, infrared, share, seed):
        control.change(mix, inputs, outputs, trigger_mode="always_last", show_progress="hidden")
    again.click(lambda number: number + 1, seed, seed)
    mixed.preprocess = _as_it_is  # type: ignore[method-assign]
    use.click(lambda: gr.Tabs(selected="search"), None, tabs)
    search_by(use, mixed)
    return mix, inputs, outputs


def _figures_tab(figures: RunFigures) -> None:
    which = gr.Radio(figures.names, label="Figure", elem_id="which")
    said = gr.HTML("A figure takes a few seconds.", elem_id="figure-said", elem_classes="said")
    shown = _picture("Figure", "figure", show_label=False, buttons=["download", "fullscreen"])

    def draw(name: str) -> tuple[Any, str]:
        try:
            picture, line = figures.draw(name)
        except UserError as error:
            return None, error_line(error)
        return picture, escape(line)

    which.change(draw, which, [shown, said])


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


def _picture(label: str, name: str, **options: Any) -> gr.Image:
    """A picture that the page makes."""
    return gr.Image(label=label, elem_id=name, interactive=False, format="png", **options)


def _image(label: str, name: str, value: Image.Image | None = None) -> gr.Image:
    """A place for an image, whose file is read by ``Limits.read`` and not by Gradio."""
    image = gr.Image(
        value,
        label=label,
        sources=["upload", "clipboard"],
        type="filepath",
        format="png",
        height=320,
        buttons=[],
        elem_id=name,
    )
    image.preprocess = _as_it_is  # type: ignore[method-assign]
    return image


def _as_it_is(payload: Any) -> Any:
    return payload


def _kept(content: Content, upload: Any) -> Image.Image | None:
    return None if upload is None else content.limits.read(upload.path, "the mixed image")


def _name(upload: Any) -> str:
    return str(upload.orig_name or "the image")


def error_line(error: Exception) -> str:
    """An error as a line of the page."""
    return f'<p class="error" role="alert">{escape(str(error))}</p>'
