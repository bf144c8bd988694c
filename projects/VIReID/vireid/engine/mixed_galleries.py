"""Galleries of both modalities: how a config ranks them, and what is measured in them beside the metrics."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from torch import Tensor
from yacs.config import CfgNode

from vireid.engine.rerankers import Distance
from vireid.evaluation.arrays import as_array
from vireid.evaluation.features import prepared
from vireid.evaluation.mixed import own_modality_first
from vireid.evaluation.modality_norm import normalize_by_modality
from vireid.evaluation.protocols import ProtocolResult, evaluate_settings, ranking_distance
from vireid.evaluation.trials import Setting, Trial

# Percent of the queries whose first answer is of their own modality.
OWN_FIRST = "own modality first"


def ranking_distances(
    cfg: CfgNode, features: Tensor, modalities: np.ndarray, reranked: Distance | None
) -> Distance:
    """The distances by which a config ranks, comparable between queries: plain or re-ranked, and in a mixed
    gallery normalized where TEST.MODALITY_NORM says so.

    Args:
        cfg: TEST.METRIC, TEST.MODALITY_NORM.
        features: (N, D), finite.
        modalities: (N,) of the images.
        reranked: what a re-ranker gives; None without one.
    """
    source = _plain_distances(features, cfg.TEST.METRIC) if reranked is None else reranked

    def distance(trial: Trial, setting: Setting) -> np.ndarray:
        dist = as_array(source(trial, setting))
        if not (setting.mixed and cfg.TEST.MODALITY_NORM):
            return dist
        kinds = modalities[trial.query], modalities[trial.gallery]
        return normalize_by_modality(dist, *kinds, trial.exclude())

    return distance


def _plain_distances(features: Tensor, metric: str) -> Distance:
    """Minus the cosine, or the squared Euclidean distance up to a factor."""
    ready = prepared(features, metric)

    def distance(trial: Trial, setting: Setting) -> np.ndarray:
        query = ready[trial.query]
        dist = ranking_distance(query, ready[trial.gallery], metric)
        return dist if metric == "cosine" else dist + query.square().sum(dim=1, keepdim=True).cpu().numpy()

    return distance


def evaluate_mixed(
    unmixed: Mapping[str, ProtocolResult],
    features: Tensor,
    pids: np.ndarray,
    modalities: np.ndarray,
    settings: Sequence[Setting],
    distance: Distance,
) -> dict[str, ProtocolResult]:
    """Score the settings of TEST.MIXED_GALLERY among ``settings``.

    Args:
        unmixed: what the other settings and those of 0 percent reach.
        features: (N, D).
        pids, modalities: (N,).
        distance: of ``ranking_distances``.

    Returns:
        The metrics and OWN_FIRST of each, by its name.
    """
    first: dict[str, list[dict[str, float]]] = defaultdict(list)

    def measured(trial: Trial, setting: Setting) -> np.ndarray:
        dist: np.ndarray = distance(trial, setting)
        labels = pids[trial.query], pids[trial.gallery]
        share = own_modality_first(dist, labels, _own(trial, modalities), trial.exclude())
        first[setting.name].append({OWN_FIRST: 100 * share})
        return dist

    mixed = [setting for setting in settings if setting.mixed]
    results = evaluate_settings(features, pids, mixed, distance=measured)
    for setting in settings:
        if setting.mixed == 0:
            results[setting.name] = unmixed[setting.name]
            first[setting.name] = [{OWN_FIRST: 0.0}] * len(setting.trials)
    return {name: result.extended(first[name]) for name, result in results.items()}


def _own(trial: Trial, modalities: np.ndarray) -> np.ndarray:
    """(Q, G) bool, True where query and gallery image are of one modality."""
    return modalities[trial.query][:, None] == modalities[trial.gallery][None, :]
