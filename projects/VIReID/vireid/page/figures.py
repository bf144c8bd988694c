"""The figures of a run, drawn when they are first asked for."""

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


class RunFigures:
    """Draws figures of a run, each once.

    Args:
        run: the output folder of the training; None: no curves.
        cfg: of the model; None: curves alone.
        model: the meta-architecture.
        lock: of whoever else uses the model at the same time.
    """

    def __init__(
        self,
        run: Path | None,
        cfg: CfgNode | None,
        model: nn.Module | None,
        lock: AbstractContextManager[Any] | None = None,
    ) -> None:
        self.run, self.cfg, self.model = run, cfg, model
        self._drawn: dict[str, tuple[Image.Image, str]] = {}
        self._lock = lock or threading.Lock()
        kinds: dict[str, Callable[[], tuple[Any, str]]] = {}
        if run is not None:
            kinds["training curves"] = self._curves
        if model is not None:
            kinds["ranked lists, worst first"] = lambda: self._ranking("worst")
            kinds["ranked lists, best first"] = lambda: self._ranking("best")
            kinds["map of the embeddings"] = self._embedding
            kinds["distances of pairs"] = lambda: distance_figure(embedded_images(self.cfg, model))
            kinds["where the embeddings look"] = lambda: attention_figure(self.cfg, model)
        self._kinds = kinds

    @property
    def names(self) -> list[str]:
        """What can be drawn."""
        return list(self._kinds)

    def draw(self, name: str) -> tuple[Image.Image, str]:
        """A figure, and a line that says what it shows.

        Raises:
            UserError: the test set is not there, or the run has no metrics.
        """
        if name not in self._kinds:
            raise UserError(f"there is no figure {name!r}; there are {', '.join(self._kinds)}")
        with self._lock:
            if name not in self._drawn:
                drawn, said = self._kinds[name]()
                self._drawn[name] = (drawn if isinstance(drawn, Image.Image) else _pixels(drawn)), said
            return self._drawn[name]

    def _curves(self) -> tuple[Image.Image, str]:
        assert self.run is not None
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "curves.png"
            draw_curves(curves_of_runs([self.run]), path)
            with Image.open(path) as image:
                return image.convert("RGB"), self.run.name

    def _ranking(self, how: str) -> tuple[Image.Image, str]:
        assert self.model is not None
        scored = scored_trial(self.cfg, self.model)
        return ranking_picture(scored, choose_queries(scored, how, QUERIES).tolist())

    def _embedding(self) -> tuple[Any, str]:
        assert self.model is not None
        return embedding_figure(embedded_images(self.cfg, self.model, identities=10))


def _pixels(figure: Any) -> Image.Image:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "figure.png"
        save(figure, path)
        with Image.open(path) as image:
            return image.convert("RGB")
