"""An evaluation before the training: what would fail after hours of it fails at once.

It scores random features, so that settings of TEST.* meet the sizes of the test set; no model is asked.
"""

from collections.abc import Mapping
from dataclasses import replace

import torch
from yacs.config import CfgNode

from vireid.engine.evaluation_sets import EvaluationSet
from vireid.engine.rerankers import build_reranker
from vireid.engine.scoring import Extracted, renumbered, score, used_positions
from vireid.errors import ConfigError, UserError

CHANNELS = 8  # of a random feature


def rehearse_evaluation(cfg: CfgNode, test_sets: Mapping[str, EvaluationSet]) -> None:
    """Score the first trial of each setting of each test set, re-ranked if the config says so.

    Args:
        test_sets: of DATASETS.TESTS.

    Raises:
        ConfigError: there is no test set, or what a training would end in; names the test set.
    """
    if cfg.TEST.EVAL_PERIOD < 0:
        return
    if not test_sets:
        raise ConfigError(
            "DATASETS.TESTS is empty: nothing could be evaluated after the training; name test sets, such as "
            """'["SYSUMM01"]', or set TEST.EVAL_PERIOD to -1"""
        )
    reranker = build_reranker(cfg)
    random = torch.Generator().manual_seed(0)
    for name, (dataset, whole, _) in test_sets.items():
        settings = tuple(replace(setting, trials=setting.trials[:1]) for setting in whole)
        used = used_positions(settings)
        items = [dataset.test[position] for position in used]
        views = reranker.views if reranker else ("image",)
        features = {view: torch.randn(len(items), CHANNELS, generator=random).abs() for view in views}
        try:
            score(cfg, Extracted(items, renumbered(settings, used), features), reranker)
        except UserError as error:
            raise ConfigError(f"{name} could not be evaluated after the training: {error}") from None
        except (ValueError, IndexError, RuntimeError) as error:
            raise ConfigError(
                f"{name} could not be evaluated after the training with these settings of TEST "
                f"({type(error).__name__}: {error})"
            ) from error
