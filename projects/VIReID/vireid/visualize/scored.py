"""The ranking that the results table scores, query by query."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import nn
from yacs.config import CfgNode

from vireid.data.build import build_dataset
from vireid.data.datasets.base import ImageItem
from vireid.engine.checks import dataset_settings
from vireid.engine.evaluation import extract_test_set
from vireid.engine.rerankers import build_reranker
from vireid.engine.scoring import ranking_distances
from vireid.errors import ConfigError, choices
from vireid.evaluation.rank_kernel import rank_matches


@dataclass(frozen=True, eq=False)
class ScoredTrial:
    """The first trial of a setting.

    Attributes:
        title: dataset, setting and re-ranker, in words.
        queries, gallery: Q and G images.
        distances: (Q, G), infinite where the protocol leaves a gallery image out for a query.
        average_precision: (Q,), 0..1; NaN for a query without an allowed match, which counts in no metric.
        first_match: (Q,) int64, the rank of the nearest match, as the CMC counts it; 0 without one.
    """

    title: str
    queries: list[ImageItem]
    gallery: list[ImageItem]
    distances: np.ndarray
    average_precision: np.ndarray
    first_match: np.ndarray

    def ranked(self, query: int) -> list[ImageItem]:
        """The allowed gallery images of a query, nearest first, ties in the order of the gallery."""
        row = self.distances[query]
        order = np.argsort(row, kind="stable")[: int(np.isfinite(row).sum())]
        return [self.gallery[position] for position in order]


def scored_trial(cfg: CfgNode, model: nn.Module, setting_name: str = "") -> ScoredTrial:
    """Rank and score the first trial of a setting.

    Args:
        cfg: DATASETS.TESTS, of which the first is taken; TEST, by which galleries are ranked and re-ranked.
        model: the meta-architecture.
        setting_name: as in the results table; "" for the first.

    Raises:
        ConfigError: an unknown setting, or parameters of the re-ranker that do not fit.
    """
    name = cfg.DATASETS.TESTS[0]
    dataset: Any = build_dataset(cfg, name)
    settings = {setting.name: setting for setting in dataset_settings(cfg, dataset, name)}
    if setting_name and setting_name not in settings:
        raise ConfigError(f"setting {setting_name!r}: {choices(setting_name, settings)}")
    chosen = settings[setting_name] if setting_name else next(iter(settings.values()))
    reranker = build_reranker(cfg)
    if reranker is not None:
        reranker.check([chosen])
    first_trial = replace(chosen, trials=chosen.trials[:1])
    extracted = extract_test_set(cfg, model, dataset, (first_trial,), reranker, name)
    (setting,) = extracted.settings
    (trial,) = setting.trials
    reranked = reranker.bind(extracted.features) if reranker else None
    ranked = ranking_distances(cfg, extracted.features["image"], extracted.modalities, reranked)
    distances = ranked(trial, setting)
    exclude = trial.exclude()
    places = np.arange(len(trial.gallery), dtype=np.int32)[:, None]
    pids = extracted.pids
    best, precision, *_ = rank_matches(
        distances,
        pids[trial.query],
        pids[trial.gallery],
        None,
        None,
        exclude,
        places,
        np.array([setting.unique_pids]),
    )
    by = f", re-ranked by {reranker.label}" if reranker else ""
    return ScoredTrial(
        title=f"{name}, {setting.name}{by}",
        queries=[extracted.items[i] for i in trial.query],
        gallery=[extracted.items[i] for i in trial.gallery],
        distances=distances if exclude is None else np.where(exclude, np.inf, distances),
        average_precision=np.where(best[:, 0] > 0, precision[:, 0], np.nan),
        first_match=best[:, 0],
    )


def choose_queries(
    scored: ScoredTrial, how: str, count: int, *, seed: int = 0, named: Sequence[str] = ()
) -> np.ndarray:
    """Positions of the queries that are drawn.

    Args:
        how: "spread" evenly over all queries; "worst" or "best" average precision first; or "random".
        count: how many.
        seed: of the random draw.
        named: paths of queries, or their last parts, instead: "cam3/0001/0001.jpg".

    Raises:
        ConfigError: a path that is no query's, or the end of several.
    """
    total = len(scored.queries)
    if named:
        return np.array([_position(scored, name) for name in named])
    if how == "spread":
        return np.linspace(0, total - 1, min(count, total)).astype(int)
    counted = np.flatnonzero(scored.first_match)
    if how == "random":
        return np.sort(np.random.default_rng(seed).permutation(counted)[:count])
    values = scored.average_precision[counted]
    return counted[np.argsort(values if how == "worst" else -values, kind="stable")[:count]]


def _position(scored: ScoredTrial, name: str) -> int:
    ending = "/" + name.lstrip("/")
    found = [n for n, item in enumerate(scored.queries) if f"/{item.path}".endswith(ending)]
    if len(found) != 1:
        example = scored.queries[0].path
        raise ConfigError(
            f"query {name}: the end of {len(found)} queries' paths; expected that of one, such as {example}"
        )
    return found[0]
