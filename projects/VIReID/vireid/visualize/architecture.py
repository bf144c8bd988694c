"""The picture of the whole: from data to loss and to figures, and where each method plugs in."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

WIDTH, HEIGHT = 15.6, 7.4
BOX = 1.75, 1.5  # width, height
# Of a part's words: who brings it. The name stands in the words, so that no color is needed to read them.
COLORS = {"PMCM": "#b4530a", "MCJA": "#0b6e4f"}
PLAIN, FRAME, VISIBLE, INFRARED, SHARED = "#1f2933", "#5b6770", "#fdf0d5", "#dbe4f3", "#f2f2f2"


@dataclass(frozen=True)
class Box:
    """A part of the picture: its corner at the lower left, its size, title and further lines."""

    x: float
    y: float
    title: str
    lines: tuple[str, ...]
    color: str = SHARED
    width: float = BOX[0]
    height: float = BOX[1]

    @property
    def left(self) -> tuple[float, float]:
        """Where arrows come in."""
        return self.x, self.y + self.height / 2

    @property
    def right(self) -> tuple[float, float]:
        """Where arrows go out."""
        return self.x + self.width, self.y + self.height / 2


def boxes() -> dict[str, Box]:
    """All parts, by name."""
    top, low, middle = 5.1, 3.1, 4.1
    return {
        "visible": Box(0.2, top, "visible images", ("by day, RGB",), VISIBLE),
        "infrared": Box(0.2, low, "infrared images", ("at night",), INFRARED),
        "visible_transforms": Box(2.35, top, "transforms", ("crop, flip, erase", "MCJA: VIMC"), VISIBLE),
        "infrared_transforms": Box(2.35, low, "transforms", ("crop, flip, erase",), INFRARED),
        "batch": Box(
            4.5,
            middle,
            "batch",
            ("sampler: P identities", "x K of each", "PMCM: PatchMix", "adds mixed images"),
        ),
        "visible_stem": Box(6.65, top, "visible stem", ("first layers,", "weights of its own"), VISIBLE),
        "infrared_stem": Box(6.65, low, "infrared stem", ("first layers,", "weights of its own"), INFRARED),
        "trunk": Box(8.8, middle, "shared layers", ("ResNet-50 or any", "other backbone", "MCJA: MDA")),
        "head": Box(10.95, middle, "head", ("GeM, BN neck,", "classifier", "PMCM: six stripes")),
        "losses": Box(
            13.1,
            3.6,
            "losses",
            ("identity (CE), triplet", "PMCM: C2C", "PMCM: PMML, part", "MCJA: CMR"),
            width=2.2,
            height=2.5,
        ),
        "embeddings": Box(10.95, 0.7, "embeddings", ("of test images",)),
        "protocol": Box(
            8.3, 0.7, "protocol", ("queries and galleries", "of each trial, as", "published"), width=2.1
        ),
        "reranking": Box(5.75, 0.7, "re-ranking", ("k-reciprocal", "MCJA: MSER"), width=2.0),
        "figures": Box(3.0, 0.7, "figures", ("Rank-k, mAP, mINP", "mean ± std of trials"), width=2.2),
    }


ARROWS = (
    ("visible", "visible_transforms"),
    ("infrared", "infrared_transforms"),
    ("visible_transforms", "batch"),
    ("infrared_transforms", "batch"),
    ("batch", "visible_stem"),
    ("batch", "infrared_stem"),
    ("visible_stem", "trunk"),
    ("infrared_stem", "trunk"),
    ("trunk", "head"),
    ("head", "losses"),
)
BACKWARDS = (("embeddings", "protocol"), ("protocol", "reranking"), ("reranking", "figures"))


def draw_architecture(path: Path) -> None:
    """Draw the picture.

    Args:
        path: its suffix, such as .png or .svg, chooses the format.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, HEIGHT))
    axis = figure.add_axes((0, 0, 1, 1))
    axis.set_xlim(0, WIDTH)
    axis.set_ylim(0, HEIGHT)
    axis.axis("off")
    parts = boxes()
    for box in parts.values():
        _draw_box(axis, box)
    for start, end in ARROWS:
        _draw_arrow(axis, parts[start].right, parts[end].left)
    head, embeddings = parts["head"], parts["embeddings"]
    middle = head.x + head.width / 2
    _draw_arrow(axis, (middle, head.y), (middle, embeddings.y + embeddings.height))
    for start, end in BACKWARDS:
        _draw_arrow(axis, parts[start].left, parts[end].right)
    axis.text(0.2, 6.95, "training", fontsize=15, weight="bold", color=PLAIN)
    axis.text(0.2, 1.35, "evaluation", fontsize=15, weight="bold", color=PLAIN)
    sources = "SYSU-MM01, RegDB, LLCM, a list of yours"
    axis.text(2.35, 6.95, sources, fontsize=11, color=PLAIN)
    axis.text(6.65, 6.95, "two streams: a copy of the stem for each modality", fontsize=11, color=PLAIN)
    metadata = {"Date": None} if path.suffix == ".svg" else None  # same drawing, same file
    figure.savefig(path, dpi=100, metadata=metadata)


def _draw_box(axis: Any, box: Box) -> None:
    from matplotlib.patches import FancyBboxPatch

    style = "round,pad=0,rounding_size=0.12"
    axis.add_patch(
        FancyBboxPatch(
            (box.x, box.y), box.width, box.height, boxstyle=style, facecolor=box.color, edgecolor=FRAME
        )
    )
    middle, step = box.x + box.width / 2, 0.29
    first = box.y + box.height / 2 + step * len(box.lines) / 2
    axis.text(middle, first, box.title, ha="center", va="center", fontsize=12.5, weight="bold", color=PLAIN)
    for number, line in enumerate(box.lines, start=1):
        color = next((color for method, color in COLORS.items() if line.startswith(method)), PLAIN)
        weight = "bold" if color != PLAIN else "normal"
        y = first - step * number
        axis.text(middle, y, line, ha="center", va="center", fontsize=10, color=color, weight=weight)


def _draw_arrow(axis: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    axis.annotate("", xy=end, xytext=start, arrowprops={"arrowstyle": "-|>", "color": FRAME, "lw": 1.4})
