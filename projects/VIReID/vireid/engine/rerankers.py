"""Re-rankers: TEST.RERANKER names one; TEST.AQE and TEST.RERANK switch on the toolkit's.

A re-ranker is a class in RERANKER_REGISTRY with

- ``from_config(cfg)``, a classmethod;
- ``views``: the views of a visible image whose features it needs: "image", and "red", "green", "blue"
  (one channel, three times);
- ``label``: what the results table calls it;
- ``check(settings)``, which raises ConfigError where its parameters do not fit the sizes of a setting;
- ``bind(features) -> distance``, where ``features`` has an (N, D) tensor for each view, and
  ``distance(trial, setting)`` gives the (Q, G) distances of a trial.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from fastreid.evaluation.query_expansion import aqe
from torch import Tensor
from yacs.config import CfgNode

from vireid.errors import ConfigError
from vireid.evaluation.features import require_scale, unit_rows
from vireid.evaluation.jaccard import k_reciprocal_jaccard
from vireid.evaluation.protocols import Setting, Trial
from vireid.progress import progress_bar
from vireid.registries import RERANKER_REGISTRY, find

Distance = Callable[[Trial, Setting], Any]


class Reranker(Protocol):
    """What an evaluation asks of a re-ranker."""

    views: tuple[str, ...]
    label: str

    def check(self, settings: Sequence[Setting]) -> None: ...
    def bind(self, features: dict[str, Tensor]) -> Distance: ...


def with_progress(reranker: Reranker, features: dict[str, Tensor], settings: Sequence[Setting]) -> Distance:
    """``reranker.bind(features)`` with a progress bar, which counts the trials of ``settings`` once."""
    distance = reranker.bind(features)
    trials = sum(len(setting.trials) for setting in settings)
    bar = progress_bar(title=f"{reranker.label} re-ranking", unit="trial", total=trials)

    def counted(trial: Trial, setting: Setting) -> Any:
        found = distance(trial, setting)
        if not bar.disable:
            bar.update()
            if bar.n == trials:
                bar.close()
                bar.disable = True
        return found

    return counted


def reranker_name(cfg: CfgNode) -> str:
    """The registered name of the re-ranker that the config asks for; "" for none.

    Raises:
        ConfigError: it asks for two.
    """
    names = [cfg.TEST.RERANKER] if cfg.TEST.RERANKER else []
    if cfg.TEST.AQE.ENABLED or cfg.TEST.RERANK.ENABLED:
        names.append(ToolkitReranker.__name__)
    if len(set(names)) > 1:
        raise ConfigError(
            f"TEST.RERANKER is {cfg.TEST.RERANKER!r}, and TEST.AQE.ENABLED or TEST.RERANK.ENABLED asks for "
            "another re-ranker; leave one of them"
        )
    return names[0] if names else ""


def build_reranker(cfg: CfgNode) -> Reranker | None:
    """The re-ranker that the config asks for, or None.

    Raises:
        ConfigError: an unknown name, two of them, or parameters out of range.
    """
    name = reranker_name(cfg)
    return find(RERANKER_REGISTRY, name, "TEST.RERANKER").from_config(cfg) if name else None


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
        expansion: tuple[int, int, float] | None = None,
        reciprocal: tuple[int, int, float] | None = None,
    ):
        self.metric, self.expansion, self.reciprocal = metric, expansion, reciprocal
        steps = (("query expansion", expansion), ("k-reciprocal", reciprocal))
        self.label = " + ".join(name for name, parameters in steps if parameters)

    @classmethod
    def from_config(cls, cfg: CfgNode) -> "ToolkitReranker":
        query, rerank = cfg.TEST.AQE, cfg.TEST.RERANK
        return cls(
            cfg.TEST.METRIC,
            (query.QE_TIME, query.QE_K, query.ALPHA) if query.ENABLED else None,
            (rerank.K1, rerank.K2, rerank.LAMBDA) if rerank.ENABLED else None,
        )

    def check(self, settings: Sequence[Setting]) -> None:
        """Raise ConfigError where TEST.AQE.QE_K, TEST.RERANK.K1 or K2 is more than a setting has images."""
        for setting in settings:
            items = min(len(trial.query) + len(trial.gallery) for trial in setting.trials)
            if self.expansion and not 1 <= self.expansion[1] < items:
                raise ConfigError(
                    f"TEST.AQE.QE_K is {self.expansion[1]}; {setting.name} has {items} images: "
                    f"set it to 1..{items - 1}"
                )
            for key, value in zip(("K1", "K2"), self.reciprocal or ()):
                if not 1 <= value <= items:
                    raise ConfigError(
                        f"TEST.RERANK.{key} is {value}; {setting.name} has {items} images: "
                        f"set it to 1..{items}"
                    )

    def bind(self, features: dict[str, Tensor]) -> Distance:
        """The distances of trials, from features["image"] (N, D)."""
        embeddings = features["image"].cpu()
        require_scale(embeddings)

        def distance(trial: Trial, setting: Setting) -> Tensor:
            return self.rank(embeddings[trial.query], embeddings[trial.gallery])

        return distance

    def rank(self, query: Tensor, gallery: Tensor) -> Tensor:
        """query: (Q, D) float; gallery: (G, D) float -> (Q, G) distances."""
        if self.expansion:
            times, neighbours, alpha = self.expansion
            query, gallery = aqe(query, gallery, times, neighbours, alpha)
        if self.metric == "cosine":
            query, gallery = unit_rows(query), unit_rows(gallery)
            dist = 1 - query @ gallery.T
        else:
            dist = torch.cdist(query, gallery).square()
        if self.reciprocal:
            k1, k2, weight = self.reciprocal
            jaccard = torch.as_tensor(k_reciprocal_jaccard(query, gallery, k1, k2))
            dist = jaccard * (1 - weight) + dist * weight
        return dist
