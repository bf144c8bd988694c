"""Scoring features under the settings of a protocol."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from vireid.errors import ConfigError, UserError
from vireid.evaluation.arrays import labels
from vireid.evaluation.features import as_features, prepared, require_finite_features
from vireid.evaluation.metrics import RankMetrics, score_distances, summarize, warn_of_ties
from vireid.evaluation.rank_kernel import MAX_GALLERIES, rank_matches
from vireid.evaluation.trials import Setting, Trial

# Distances held at a time: enough rows for a fast matrix product, little beside the features.
_BLOCK_VALUES = 1 << 22


@dataclass(frozen=True)
class ProtocolResult:
    """Figures in percent: mean and population standard deviation over the trials, and each trial's.

    Attributes:
        num_queries, num_valid_queries: of each trial, and how many of them have an allowed match: the others
            count in no figure.
    """

    mean: dict[str, float]
    std: dict[str, float]
    trials: list[dict[str, float]]
    num_queries: list[int] = field(default_factory=list)
    num_valid_queries: list[int] = field(default_factory=list)

    @classmethod
    def over(cls, trials: Sequence[RankMetrics]) -> "ProtocolResult":
        """Average the metrics of trials."""
        counts = [trial.num_queries for trial in trials], [trial.num_valid_queries for trial in trials]
        return cls._of([trial.percent() for trial in trials], *counts)

    def extended(self, further: Sequence[dict[str, float]]) -> "ProtocolResult":
        """With further figures of each trial, in percent."""
        rows = [{**row, **added} for row, added in zip(self.trials, further, strict=True)]
        return self._of(rows, self.num_queries, self.num_valid_queries)

    @classmethod
    def _of(cls, rows: list[dict[str, float]], *counts: list[int]) -> "ProtocolResult":
        table = np.array([list(row.values()) for row in rows])
        mean, std = table.mean(axis=0).tolist(), table.std(axis=0).tolist()
        return cls(dict(zip(rows[0], mean)), dict(zip(rows[0], std)), rows, *counts)


def evaluate_settings(
    features: Any,
    pids: Any,
    settings: Sequence[Setting],
    *,
    metric: str = "cosine",
    distance: Callable[[Trial, Setting], Any] | None = None,
    names: Sequence[str] | None = None,
) -> dict[str, ProtocolResult]:
    """Score the features of all test images under each setting.

    Without ``distance``, trials with the same queries share one pass over their distances, computed in
    blocks of rows; on the device of ``features`` where that is a tensor.

    Args:
        features: (N, D) array or tensor.
        pids: (N,) identities.
        metric: "cosine" (features are L2-normalized here) or "euclidean".
        distance: gives the (Q, G) distances of a trial instead, such as a re-ranker.
        names: (N,) image paths, for error messages.

    Returns:
        The result of each setting, by its name.

    Raises:
        ConfigError: unknown metric.
        UserError: features that are not finite, or zero where they are compared by cosine; shapes that
            disagree, two settings of one name, a setting in which no query has an allowed match.
    """
    if metric not in ("cosine", "euclidean"):
        raise ConfigError(f'metric is "{metric}"; it must be "cosine" or "euclidean"')
    pids, features = labels(pids, "pids"), as_features(features)
    for name, values in (("pids", pids), ("names", names)):
        if values is not None and len(values) != len(features):
            raise UserError(f"features have shape {tuple(features.shape)}, for {len(values)} {name}")
    _check_settings(settings, len(features))
    require_finite_features(features, names, zeros=metric != "cosine")
    scored: dict[tuple[int, int], RankMetrics] = {}
    if distance is None:
        features = prepared(features, metric)
        for members in _groups(settings):
            _score_group(features, pids, settings, members, metric, scored)
    else:
        for s, setting in enumerate(settings):
            for t, trial in enumerate(setting.trials):
                scored[s, t] = _score_trial(distance(trial, setting), pids, trial, setting)
    results = {}
    for s, setting in enumerate(settings):
        trials = [scored[s, t] for t in range(len(setting.trials))]
        results[setting.name] = ProtocolResult.over(trials)
        warn_of_ties(f'setting "{setting.name}"', sum(trial.ties for trial in trials) / len(trials))
    return results


def _check_settings(settings: Sequence[Setting], num_images: int) -> None:
    names = [setting.name for setting in settings]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f'two settings are named "{twice}": one of their results would be lost')
    for setting in settings:
        for t, trial in enumerate(setting.trials):
            last = max(part.max(initial=-1) for part in (trial.query, trial.gallery))
            if last >= num_images:
                raise UserError(
                    f'setting "{setting.name}", trial {t}: position {last} is not among the '
                    f"{num_images} images"
                )


def _score_trial(dist: Any, pids: np.ndarray, trial: Trial, setting: Setting) -> RankMetrics:
    labels = pids[trial.query], pids[trial.gallery]
    try:
        return score_distances(dist, *labels, trial.exclude(), setting.unique_pids)
    except UserError as error:
        raise UserError(f'setting "{setting.name}": {error}') from None


Member = tuple[int, int]  # index of a setting, index of a trial in it


def _groups(settings: Sequence[Setting]) -> Iterator[list[Member]]:
    """Trials that one pass can score: the same queries with the same keys, and no more than fit."""
    groups: dict[tuple[bytes, bytes], list[Member]] = {}
    for s, setting in enumerate(settings):
        for t, trial in enumerate(setting.trials):
            keys = b"" if trial.query_keys is None else trial.query_keys.tobytes()
            groups.setdefault((trial.query.tobytes(), keys), []).append((s, t))
    for members in groups.values():
        for start in range(0, len(members), MAX_GALLERIES):
            yield members[start : start + MAX_GALLERIES]


def _score_group(
    features: torch.Tensor,
    pids: np.ndarray,
    settings: Sequence[Setting],
    members: list[Member],
    metric: str,
    scored: dict[Member, RankMetrics],
) -> None:
    trials = [settings[s].trials[t] for s, t in members]
    candidates, place, keys = _merged_galleries(trials, len(pids))
    if keys is not None and not all(_keys_agree(trial, place[:, t], keys) for t, trial in enumerate(trials)):
        for member in members:
            _score_group(features, pids, settings, [member], metric, scored)
        return
    query = trials[0].query
    if not len(query):
        raise UserError(f'setting "{settings[members[0][0]].name}": there are no query images')
    unique = np.array([settings[s].unique_pids for s, _ in members])
    others = features[torch.from_numpy(candidates).to(features.device)]
    rows = max(1, _BLOCK_VALUES // max(1, len(candidates)))
    parts = []
    for start in range(0, len(query), rows):
        block = query[start : start + rows]
        dist = ranking_distance(features[torch.from_numpy(block).to(features.device)], others, metric)
        query_keys = trials[0].query_keys
        if query_keys is not None:
            query_keys = query_keys[start : start + rows]
        parts.append(rank_matches(dist, pids[block], pids[candidates], query_keys, keys, None, place, unique))
    figures = [np.concatenate(blocks) for blocks in zip(*parts)]
    for column, (s, t) in enumerate(members):
        try:
            scored[s, t] = summarize([figure[:, column] for figure in figures])
        except UserError as error:
            raise UserError(f'setting "{settings[s].name}": {error}') from None


def _merged_galleries(
    trials: Sequence[Trial], num_images: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """All images of some trials' galleries (P,), the place of each in each (P, T), and their keys (P,).

    The candidates are in the order in which the galleries first name them, so that the distances, to
    the last bit, do not depend on the order of the test images.
    """
    named = np.concatenate([trial.gallery for trial in trials])
    _, where = np.unique(named, return_index=True)
    candidates = named[np.sort(where)]
    row_of = np.full(num_images, -1, dtype=np.int64)
    row_of[candidates] = np.arange(len(candidates))
    place = np.full((len(candidates), len(trials)), -1, dtype=np.int32)
    keyed = trials[0].query_keys is not None
    keys = np.zeros(len(candidates), dtype=np.int64) if keyed else None
    for t, trial in enumerate(trials):
        place[row_of[trial.gallery], t] = np.arange(len(trial.gallery))
        if keys is not None and trial.gallery_keys is not None:
            keys[row_of[trial.gallery]] = trial.gallery_keys
    return candidates, place, keys


def _keys_agree(trial: Trial, place: np.ndarray, keys: np.ndarray) -> bool:
    """Whether a trial gives its gallery the keys (P,) that the merged candidates have."""
    inside = np.flatnonzero(place >= 0)
    return trial.gallery_keys is None or np.array_equal(keys[inside], trial.gallery_keys[place[inside]])


def ranking_distance(query: torch.Tensor, gallery: torch.Tensor, metric: str) -> np.ndarray:
    """(Q, G) values in the order of the distances: minus the cosine, or the squared Euclidean distance
    less the query's own part, which is the same for a whole row."""
    if metric == "cosine":
        return torch.mm(-query, gallery.T).cpu().numpy()
    return torch.addmm(gallery.square().sum(dim=1), query, gallery.T, alpha=-2).cpu().numpy()
