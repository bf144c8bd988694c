"""Scoring the features of a test set: each setting plain and re-ranked, galleries of both modalities, ROC."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor
from yacs.config import CfgNode

from vireid.data.datasets.base import ImageItem
from vireid.engine.open_set import detection_rates, open_set_points
from vireid.engine.reports import Row
from vireid.engine.rerankers import Distance, Reranker, with_progress
from vireid.evaluation.arrays import as_array
from vireid.evaluation.features import prepared
from vireid.evaluation.mixed import own_modality_first
from vireid.evaluation.modality_norm import normalize_by_modality
from vireid.evaluation.protocols import ProtocolResult, evaluate_settings, ranking_distance
from vireid.evaluation.roc import THRESHOLD, verification_rates
from vireid.evaluation.tracks import strip_positions
from vireid.evaluation.trials import Setting, Trial

# Percent of the queries whose first answer is of their own modality.
OWN_FIRST = "own modality first"


@dataclass(frozen=True, eq=False)
class Extracted:
    """The images of a test set that some trial uses.

    Attributes:
        items: N images; the first of a track stands for it.
        settings: their trials' positions index ``items``.
        features: view -> (N, D) float32.
    """

    items: list[ImageItem]
    settings: tuple[Setting, ...]
    features: dict[str, Tensor]

    @property
    def pids(self) -> np.ndarray:
        """(N,) identities."""
        return np.array([item.pid for item in self.items])

    @property
    def modalities(self) -> np.ndarray:
        """(N,) modalities."""
        return np.array([int(item.modality) for item in self.items])


def score(cfg: CfgNode, extracted: Extracted, reranker: Reranker | None) -> list[Row]:
    """The rows of the table: each setting plain and, where there is a re-ranker, re-ranked."""
    rows = _rows(cfg, extracted, None)
    if reranker is None:
        return rows
    ranked = _rows(cfg, extracted, reranker)
    return [row for pair in zip(rows, ranked) for row in pair]


def _rows(cfg: CfgNode, extracted: Extracted, reranker: Reranker | None) -> list[Row]:
    features, pids, modalities = extracted.features["image"], extracted.pids, extracted.modalities
    reranked = with_progress(reranker, extracted.features, extracted.settings) if reranker else None
    distance = ranking_distances(cfg, features, modalities, reranked)
    names = [item.path for item in extracted.items]
    unmixed = [setting for setting in extracted.settings if not setting.mixed]
    # Scored apart from the mixed settings, so that these cannot change the published figures.
    results = evaluate_settings(
        features, pids, unmixed, metric=cfg.TEST.METRIC, distance=reranked, names=names
    )
    results |= evaluate_mixed(results, features, pids, modalities, extracted.settings, distance)
    if cfg.TEST.ROC.ENABLED:
        results = with_verification_rates(results, pids, extracted.settings, distance)
    points = open_set_points(cfg, pids, extracted.settings, distance)
    results = {
        name: result.extended([detection_rates(trial) for trial in points[name]])
        if name in points
        else result
        for name, result in results.items()
    }
    label = reranker.label if reranker else ""
    return [
        Row(
            setting,
            label,
            cfg.TEST.METRIC,
            cfg.TEST.FLIP.ENABLED,
            results[setting.name],
            normalized=bool(setting.mixed and cfg.TEST.MODALITY_NORM),
            open_set=points.get(setting.name, ()),
        )
        for setting in extracted.settings
    ]


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


def used_positions(settings: tuple[Setting, ...]) -> np.ndarray:
    """Ascending positions of the test images that some trial names."""
    trials = [trial for setting in settings for trial in setting.trials]
    return np.unique(np.concatenate([part for trial in trials for part in (trial.query, trial.gallery)]))


def renumbered(settings: tuple[Setting, ...], used: np.ndarray) -> tuple[Setting, ...]:
    """The settings with positions that index the images of ``used`` instead of all test images."""

    def renumber(trial: Trial) -> Trial:
        query, gallery = (np.searchsorted(used, part) for part in (trial.query, trial.gallery))
        return Trial(query, gallery, trial.query_keys, trial.gallery_keys)

    return tuple(replace(setting, trials=tuple(map(renumber, setting.trials))) for setting in settings)


def embedded_images(
    test: Sequence[ImageItem], standing: np.ndarray, frames: int
) -> tuple[np.ndarray, np.ndarray]:
    """The test images whose embeddings make those of some images, each of which stands for its track.

    Args:
        standing: (N,) positions in ``test``, as the settings have them.
        frames: of each track, evenly (TEST.TRACK_FRAMES); 0: all.

    Returns:
        (M,) positions in ``test``, of which one may repeat, and the row of ``standing`` that each belongs to.
    """
    tracks: dict[int | None, list[int]] = defaultdict(list)
    for position, item in enumerate(test):
        tracks[item.track].append(position)
    positions: list[int] = []
    rows: list[int] = []
    for row, position in enumerate(standing.tolist()):
        track = test[position].track
        own = [position] if track is None else tracks[track]
        if track is not None and frames:
            own = [own[place] for place in strip_positions(len(own), frames)]
        positions += own
        rows += [row] * len(own)
    return np.array(positions, dtype=np.int64), np.array(rows, dtype=np.int64)


def with_verification_rates(
    results: dict[str, ProtocolResult], pids: np.ndarray, settings: tuple[Setting, ...], distance: Distance
) -> dict[str, ProtocolResult]:
    """The results with the rates of TEST.ROC beside the metrics, in percent, and their thresholds."""
    extended = {}
    for setting in settings:
        rates = []
        for trial in setting.trials:
            labels = pids[trial.query], pids[trial.gallery]
            found = verification_rates(distance(trial, setting), *labels, exclude=trial.exclude())
            rates.append({k: v if k.startswith(THRESHOLD) else 100 * v for k, v in found.items()})
        extended[setting.name] = results[setting.name].extended(rates)
    return extended
