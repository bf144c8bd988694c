"""Re-rankers that a config switches on, and the toolkit's own among them.

A re-ranker is a class in RERANKER_REGISTRY with

- ``is_enabled(cfg) -> bool`` and ``from_config(cfg, dataset_name)``, classmethods;
- ``views``: which views of a visible image it needs the features of: "image", and "red", "green",
  "blue" (one channel, three times);
- ``check(settings)``, which raises ConfigError where its parameters do not fit the sizes of a setting;
- ``bind(features) -> distance``, where ``features`` has an (N, D) tensor for each view, and
  ``distance(trial, setting)`` gives the (Q, G) distances of a trial.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from fastreid.evaluation.query_expansion import aqe
from fastreid.utils.registry import Registry
from torch import Tensor
from yacs.config import CfgNode

from vireid.errors import ConfigError
from vireid.evaluation.protocols import Setting, Trial
from vireid.evaluation.rerank import k_reciprocal_jaccard

RERANKER_REGISTRY = Registry("RERANKER")

Distance = Callable[[Trial, Setting], Any]


class Reranker(Protocol):
    """What the evaluator asks of a re-ranker."""

    views: tuple[str, ...]

    def check(self, settings: Sequence[Setting]) -> None: ...
    def bind(self, features: dict[str, Tensor]) -> Distance: ...


def build_reranker(cfg: CfgNode, dataset_name: str) -> Reranker | None:
    """The re-ranker that the config enables, or None.

    Raises:
        ConfigError: more than one is enabled.
    """
    enabled = [entry for entry in RERANKER_REGISTRY._obj_map.values() if entry.is_enabled(cfg)]
    if len(enabled) > 1:
        raise ConfigError(f"more than one re-ranker is enabled: {', '.join(e.__name__ for e in enabled)}")
    return enabled[0].from_config(cfg, dataset_name) if enabled else None


@RERANKER_REGISTRY.register()
class ToolkitReranker:
    """The toolkit's average query expansion (TEST.AQE) and k-reciprocal re-ranking (TEST.RERANK).

    Args:
        metric: "cosine" or "euclidean" (squared, as the toolkit's).
        expansion: (times, neighbours, alpha) of the query expansion, or None.
        reciprocal: (k1, k2, lambda) of the re-ranking, or None.
    """

    views: tuple[str, ...] = ("image",)

    def __init__(
        self,
        metric: str,
        expansion: tuple[int, int, float] | None,
        reciprocal: tuple[int, int, float] | None,
    ):
        self.metric, self.expansion, self.reciprocal = metric, expansion, reciprocal

    @classmethod
    def is_enabled(cls, cfg: CfgNode) -> bool:
        return bool(cfg.TEST.AQE.ENABLED or cfg.TEST.RERANK.ENABLED)

    @classmethod
    def from_config(cls, cfg: CfgNode, dataset_name: str) -> "ToolkitReranker":
        query, rerank = cfg.TEST.AQE, cfg.TEST.RERANK
        return cls(
            cfg.TEST.METRIC,
            (query.QE_TIME, query.QE_K, query.ALPHA) if query.ENABLED else None,
            (rerank.K1, rerank.K2, rerank.LAMBDA) if rerank.ENABLED else None,
        )

    def check(self, settings: Sequence[Setting]) -> None:
        for setting in settings:
            items = min(len(trial.query) + len(trial.gallery) for trial in setting.trials)
            for key, value in zip(("K1", "K2"), self.reciprocal or ()):
                if not 1 <= value <= items:
                    raise ConfigError(
                        f"TEST.RERANK.{key} is {value}; {setting.name} has {items} images: "
                        f"set it to 1..{items}"
                    )

    def bind(self, features: dict[str, Tensor]) -> Distance:
        embeddings = features["image"].cpu()

        def distance(trial: Trial, setting: Setting) -> Tensor:
            return self.rank(embeddings[trial.query], embeddings[trial.gallery])

        return distance

    def rank(self, query: Tensor, gallery: Tensor) -> Tensor:
        """(Q, D), (G, D) -> (Q, G) distances."""
        if self.expansion:
            times, neighbours, alpha = self.expansion
            query, gallery = aqe(query, gallery, times, neighbours, alpha)
        if self.metric == "cosine":
            query, gallery = F.normalize(query), F.normalize(gallery)
            dist = 1 - query @ gallery.T
        else:
            dist = torch.cdist(query, gallery).square()
        if self.reciprocal:
            k1, k2, weight = self.reciprocal
            jaccard = torch.as_tensor(k_reciprocal_jaccard(query, gallery, k1, k2))
            dist = jaccard * (1 - weight) + dist * weight
        return dist
