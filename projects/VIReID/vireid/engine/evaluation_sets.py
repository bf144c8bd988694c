"""Test sets as a run scores them: read once, named by a digest, and what their best figure means."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from yacs.config import CfgNode

from vireid.config.changes import config_record
from vireid.data.build import build_dataset
from vireid.engine.agreement import compare_tests, list_digest
from vireid.engine.checkpoints.digest import content_digest
from vireid.engine.checks import dataset_settings
from vireid.engine.reports import figure_paths, row_name
from vireid.engine.rerankers import build_reranker
from vireid.evaluation.trials import Setting

# Of TEST, what does not change a re-ranked figure.
NOT_OF_RANKING = (
    "BEST_METRIC",
    "EVAL_PERIOD",
    "IMS_PER_BATCH",
    "MIXED_GALLERY",
    "MODALITY_NORM",
    "PRECISE_BN",
    "ROC",
)


class EvaluationSet(NamedTuple):
    """A test set as its folder was when it was read. What is in the folder later changes no figure.

    Attributes:
        dataset: of ``vireid.data.build_dataset``.
        settings: of ``dataset_settings``.
        digests: 16 hexadecimal digits for each setting, which name the images, their labels, and the queries
            and galleries.
    """

    dataset: Any
    settings: tuple[Setting, ...]
    digests: dict[str, str]


def read_evaluation_sets(cfg: CfgNode) -> dict[str, EvaluationSet]:
    """The test sets of DATASETS.TESTS by name, read now."""
    found = {}
    for name in cfg.DATASETS.TESTS:
        dataset: Any = build_dataset(cfg, name)
        settings = dataset_settings(cfg, dataset, name)
        images = list_digest(dataset, dataset.test)
        digests = {setting.name: _digest(setting, images) for setting in settings}
        compare_tests(name, dataset, digests)
        found[name] = EvaluationSet(dataset, settings, digests)
    return found


def _digest(setting: Setting, images: str) -> str:
    trials = [
        [torch.from_numpy(array) for array in vars(trial).values() if array is not None]
        for trial in setting.trials
    ]
    return content_digest([images, setting.unique_pids, trials])[:16]


def figure_record(cfg: CfgNode, test_sets: Mapping[str, EvaluationSet]) -> dict[str, Any]:
    """What gives TEST.BEST_METRIC its meaning, as plain values: where these differ, two of its figures must
    not be compared."""
    if not test_sets:
        return {}
    reranker = build_reranker(cfg)
    labels = ["", reranker.label] if reranker else [""]
    settings = {
        name: {row_name(setting, label): setting for setting in test_set.settings for label in labels}
        for name, test_set in test_sets.items()
    }
    paths = figure_paths(settings, cfg.TEST.BEST_METRIC)
    used = [(name, settings[name][row]) for name, row, _ in paths]
    groups = ["TEST.METRIC", "TEST.FLIP", "INPUT.SIZE_TEST"]
    if any(row != setting.name for (_, row, _), (_, setting) in zip(paths, used)):
        groups += [f"TEST.{key}" for key in cfg.TEST if key not in NOT_OF_RANKING]
    if any(setting.mixed for _, setting in used):
        groups.append("TEST.MODALITY_NORM")
    return {
        "TEST.BEST_METRIC": ", ".join("/".join(path) for path in paths),
        **{f"test set {name}, {one.name}": test_sets[name].digests[one.name] for name, one in used},
        **{key: value for key, value in config_record(cfg).items() if key.startswith(tuple(groups))},
    }
