"""Scores a trained model on each identity: enough to compare two models by the same identities."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn
from yacs.config import CfgNode

from vireid.data.build import build_dataset
from vireid.engine.checks import dataset_settings
from vireid.engine.evaluation import Extracted, extract_test_set, load_for_evaluation
from vireid.engine.rerankers import Distance, ToolkitReranker, build_reranker
from vireid.evaluation.metrics import rank_metrics

PLAIN = "plain"


@dataclass(frozen=True, eq=False)
class Scores:
    """A model's figures on each identity of a test set, the mean over the trials of one setting.

    Attributes:
        pids: (I,) identities.
        queries: (I,) how many queries of each are counted.
        figures: "Rank-1" and "mAP" -> (I,) percent.
    """

    pids: np.ndarray
    queries: np.ndarray
    figures: dict[str, np.ndarray]

    def mean(self, figure: str) -> float:
        """Average the figure over all queries, as the protocol does."""
        return float(np.average(self.figures[figure], weights=self.queries))

    def to_plain(self) -> dict[str, Any]:
        """Give lists of numbers, for JSON."""
        figures = {name: np.round(values, 2).tolist() for name, values in self.figures.items()}
        return {"pids": self.pids.tolist(), "queries": self.queries.tolist(), **figures}

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> "Scores":
        """Invert ``to_plain``."""
        figures = {name: np.array(plain[name]) for name in ("Rank-1", "mAP")}
        return cls(np.array(plain["pids"]), np.array(plain["queries"]), figures)


def score_weights(cfg: CfgNode, weights: str, subsets: Iterable[str]) -> dict[str, dict[str, Scores]]:
    """Score a model of SYSU-MM01 on some of its identities, all-search single-shot.

    Args:
        cfg: of the training, with DATASETS.SYSUMM01.TRAIN_ON "train".
        weights: its checkpoint.
        subsets: "val" for the validation identities, "test" for the test identities.

    Returns:
        subset -> "plain", and the re-ranker's name where the config has one -> scores.
    """
    cfg = cfg.clone()
    cfg.defrost()
    cfg.MODEL.WEIGHTS = weights
    model = load_for_evaluation(cfg)
    found = {}
    for subset in subsets:
        cfg.DATASETS.SYSUMM01.TEST_ON = subset
        found[subset] = score_model(cfg, model)
    return found


def score_model(cfg: CfgNode, model: nn.Module) -> dict[str, Scores]:
    """Score a model on the first setting of the first of DATASETS.TESTS, without and with re-ranking."""
    name = cfg.DATASETS.TESTS[0]
    dataset = build_dataset(cfg, name)
    reranker = build_reranker(cfg)
    settings = dataset_settings(cfg, dataset, name)[:1]
    extracted = extract_test_set(cfg, model, dataset, settings, reranker, name)
    found = {PLAIN: identity_scores(extracted, ToolkitReranker(cfg.TEST.METRIC).bind(extracted.features))}
    if reranker is not None:
        found[reranker.label] = identity_scores(extracted, reranker.bind(extracted.features))
    return found


def identity_scores(extracted: Extracted, distance: Distance) -> Scores:
    """Score each identity that has a query with an allowed match, under the first setting."""
    setting, pids = extracted.settings[0], extracted.pids
    sums: dict[int, np.ndarray] = {}
    for trial in setting.trials:
        dist, exclude = np.asarray(distance(trial, setting)), trial.exclude()
        query_pids, gallery_pids = pids[trial.query], pids[trial.gallery]
        for pid in np.intersect1d(query_pids, gallery_pids).tolist():
            rows = np.flatnonzero(query_pids == pid)
            left_out = None if exclude is None else exclude[rows]
            allowed = (gallery_pids == pid) & (True if left_out is None else ~left_out)
            if not allowed.any():
                continue
            metrics = rank_metrics(
                dist[rows], query_pids[rows], gallery_pids, exclude=left_out, unique_pids=setting.unique_pids
            )
            values = np.array([1, 100 * metrics.cmc[0], 100 * metrics.mAP]) * metrics.num_valid_queries
            sums[pid] = sums.get(pid, 0) + values
    order = sorted(sums)
    table = np.array([sums[pid] for pid in order])
    figures = {name: table[:, column] / table[:, 0] for column, name in ((1, "Rank-1"), (2, "mAP"))}
    return Scores(np.array(order), table[:, 0] / len(setting.trials), figures)
