"""The pictures of a run, drawn when they are first asked for."""

import tempfile
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from PIL import Image
from torch import nn
from yacs.config import CfgNode

from vireid.engine.curves import draw_curves
from vireid.errors import UserError
from vireid.visualize.attention_pairs import attention_figure
from vireid.visualize.curves import curves_of_runs
from vireid.visualize.distances import distance_figure
from vireid.visualize.embedding import embedding_figure
from vireid.visualize.image_set import embedded_images
from vireid.visualize.ranking import ranking_picture
from vireid.visualize.scored import choose_queries, scored_trial
from vireid.visualize.style import save

QUERIES = 4


class RunPictures:
    """Draws pictures of a run, each once.

    Args:
        run: the output folder of the training; None: no curves.
        cfg: of the model; None: curves alone.
        model: the meta-architecture.
        lock: of whoever else uses the model at the same time.
    """

    def __init__(
        self,
        run: Path | None,
        cfg: CfgNode | None = None,
        model: nn.Module | None = None,
        lock: AbstractContextManager[Any] | None = None,
    ) -> None:
        self._lock = lock or threading.Lock()
        self._drawn: dict[str, tuple[Image.Image, str]] = {}
        self._kinds: dict[str, Callable[[], tuple[Any, str]]] = {}
        if run is not None:
            self._kinds["training curves"] = lambda: _curves(run)
        if cfg is not None and model is not None:
            self._kinds |= {
                "ranked lists, worst first": lambda: _ranked_lists(cfg, model, "worst"),
                "ranked lists, best first": lambda: _ranked_lists(cfg, model, "best"),
                "map of the embeddings": lambda: embedding_figure(embedded_images(cfg, model, identities=10)),
                "distances of pairs": lambda: distance_figure(embedded_images(cfg, model)),
                "where the embeddings look": lambda: attention_figure(cfg, model),
            }

    @property
    def names(self) -> list[str]:
        """Names of what can be drawn."""
        return list(self._kinds)

    def draw(self, name: str) -> tuple[Image.Image, str]:
        """Draw a picture, and say in a line what it shows.

        Raises:
            UserError: the test set is not there, or the run has no metrics.
        """
        if name not in self._kinds:
            raise UserError(f"there is no picture {name!r}; there are {', '.join(self._kinds)}")
        with self._lock:
            if name not in self._drawn:
                drawn, said = self._kinds[name]()
                if not isinstance(drawn, Image.Image):
                    drawn = _pixels(lambda path: save(drawn, path))
                self._drawn[name] = drawn, said
            return self._drawn[name]


def _curves(run: Path) -> tuple[Image.Image, str]:
    return _pixels(lambda path: draw_curves(curves_of_runs([run]), path)), run.name


def _ranked_lists(cfg: CfgNode, model: nn.Module, which: str) -> tuple[Image.Image, str]:
    scored = scored_trial(cfg, model)
    return ranking_picture(scored, choose_queries(scored, which, QUERIES).tolist())


def _pixels(write: Callable[[Path], None]) -> Image.Image:
    """Read what ``write`` writes to a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.png"
        write(path)
        with Image.open(path) as image:
            return image.convert("RGB")
