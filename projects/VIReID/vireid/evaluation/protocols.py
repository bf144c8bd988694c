"""What a protocol is (settings of trials), and how features are scored under it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from vireid.errors import ConfigError, UserError
from vireid.evaluation.metrics import METRICS, RankMetrics, as_array, rank_metrics, summarize
from vireid.evaluation.rank_kernel import MAX_GALLERIES, rank_matches

# Distances held at a time: enough rows for a fast matrix product, little beside the features.
_BLOCK_VALUES = 1 << 22


@dataclass(frozen=True, eq=False)
class Trial:
    """One draw of queries and gallery.

    Attributes:
        query: (Q,) int64 positions in the list of test images.
        gallery: (G,) positions, each once, in the order by which equal distances go.
        query_keys, gallery_keys: (Q,) and (G,) int64, or both None: a gallery image whose key equals
            the query's is left out for that query.
    """

    query: np.ndarray
    gallery: np.ndarray
    query_keys: np.ndarray | None = None
    gallery_keys: np.ndarray | None = None

    def __post_init__(self) -> None:
        if (self.query_keys is None) != (self.gallery_keys is None):
            raise ValueError("query_keys and gallery_keys: give both or neither")
        if len(np.unique(self.gallery)) != len(self.gallery):
            raise ValueError("gallery holds an image twice")

    def exclude(self) -> np.ndarray | None:
        """(Q, G) bool, True where the keys are equal; None without keys."""
        if self.query_keys is None or self.gallery_keys is None:
            return None
        return self.query_keys[:, None] == self.gallery_keys[None, :]


@dataclass(frozen=True, eq=False)
class Setting:
    """One row of a results table: trials whose figures are averaged.

    Attributes:
        name: as in the table, such as "all-search single-shot".
        trials: at least one.
        unique_pids: whether the CMC counts each identity once, at its best rank.
        direction: "i2v" where infrared images are the queries, "v2i" where visible ones are.
        draw: how the images of each trial are chosen, in words.
    """

    name: str
    trials: tuple[Trial, ...]
    unique_pids: bool
    direction: str
    draw: str = "all images"


@dataclass(frozen=True)
class ProtocolResult:
    """Figures in percent: mean and population standard deviation over the trials, and each trial's."""

    mean: dict[str, float]
    std: dict[str, float]
    trials: list[dict[str, float]]

    @classmethod
    def over(cls, trials: Sequence[RankMetrics]) -> "ProtocolResult":
        """Average the metrics of trials."""
        rows = [trial.percent() for trial in trials]
        table = np.array([[row[name] for name in METRICS] for row in rows])
        mean, std = table.mean(axis=0), table.std(axis=0)
        return cls(dict(zip(METRICS, mean.tolist())), dict(zip(METRICS, std.tolist())), rows)


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
        UserError: features that are not finite, shapes that disagree, a setting in which no query has
            an allowed match.
    """
    if metric not in ("cosine", "euclidean"):
        raise ConfigError(f'metric is "{metric}"; it must be "cosine" or "euclidean"')
    pids = as_array(pids)
    features = features if isinstance(features, torch.Tensor) else torch.from_numpy(np.asarray(features))
    if features.ndim != 2 or features.shape[0] != pids.size:
        raise UserError(
            f"features have shape {tuple(features.shape)}; {pids.size} pids need ({pids.size}, D)"
        )
    require_finite_features(features, names)
    scored: dict[tuple[int, int], RankMetrics] = {}
    if distance is None:
        features = prepared(features, metric)
        for members in _groups(settings):
            _score_group(features, pids, settings, members, metric, scored)
    else:
        for s, setting in enumerate(settings):
            for t, trial in enumerate(setting.trials):
                scored[s, t] = _score_trial(distance(trial, setting), pids, trial, setting)
    return {
        setting.name: ProtocolResult.over([scored[s, t] for t in range(len(setting.trials))])
        for s, setting in enumerate(settings)
    }


def require_finite_features(features: torch.Tensor, names: Sequence[str] | None = None) -> None:
    """Raise UserError with the rows of (N, D) features that hold NaN or infinity, and their images."""
    bad = torch.nonzero(~torch.isfinite(features).all(dim=1)).ravel().tolist()
    if not bad:
        return
    shown = ", ".join(f"{row} ({names[row]})" if names is not None else str(row) for row in bad[:5])
    raise UserError(
        f"{len(bad)} of {features.shape[0]} features are NaN or infinite: rows {shown}"
        f"{', ...' if len(bad) > 5 else ''}; the model has diverged, or an image breaks it"
    )


def prepared(features: torch.Tensor, metric: str) -> torch.Tensor:
    """(N, D) features as ``ranking_distance`` takes them: float32 or wider, L2-normalized for cosine."""
    features = features.detach()
    features = features if features.dtype == torch.float64 else features.float()
    return torch.nn.functional.normalize(features) if metric == "cosine" else features


def _score_trial(dist: Any, pids: np.ndarray, trial: Trial, setting: Setting) -> RankMetrics:
    labels = pids[trial.query], pids[trial.gallery]
    try:
        return rank_metrics(dist, *labels, exclude=trial.exclude(), unique_pids=setting.unique_pids)
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
    best, ap, inp = (np.concatenate(columns) for columns in zip(*parts))
    for column, (s, t) in enumerate(members):
        try:
            scored[s, t] = summarize(best[:, column], ap[:, column], inp[:, column])
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
