from collections import Counter

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from fastreid.modeling import build_model

from mcja import multi_spectral_rerank
from mcja.mser import MSER
from vireid.data import build_dataset
from vireid.engine.evaluation import evaluate_dataset, used_positions
from vireid.engine.rerankers import build_reranker
from vireid.errors import ConfigError
from vireid.evaluation.protocols import Setting, Trial

SMALL = {"k1": 4, "k2": 2, "lambda_value": 0.3, "query_neighbours_only": True}


def features(count=40, size=8):
    generator = torch.Generator().manual_seed(0)
    plain = torch.randn(count, size, generator=generator)
    return {view: plain + 0.3 * torch.randn(count, size, generator=generator) for view in MSER.views}


def setting(direction, *trials):
    return Setting("some search", trials, unique_pids=False, direction=direction)


@pytest.mark.parametrize("direction", ["i2v", "v2i"])
def test_each_trial_is_ranked_by_the_four_spectra_of_its_visible_side(direction):
    views = features()
    query, others = np.arange(12), np.arange(12, 40)
    trials = [Trial(query, others[:15]), Trial(query, others[10:]), Trial(np.arange(20, 32), query)]
    distance = MSER(**SMALL).bind(views)
    for trial in trials:
        sides = [
            [F.normalize(views[view])[positions] for view in MSER.views]
            for positions in (trial.query, trial.gallery)
        ]
        infrared = 0 if direction == "i2v" else 1
        sides[infrared] = sides[infrared][:1]
        k1, k2, lambda_value, among_queries = SMALL.values()
        expected = multi_spectral_rerank(
            *sides, k1, k2, lambda_value, query_neighbours_only=among_queries, direction=direction
        )
        np.testing.assert_allclose(distance(trial, setting(direction, trial)), expected, atol=1e-6)


def test_the_length_of_features_does_not_matter():
    views, trial = features(), Trial(np.arange(12), np.arange(12, 40))
    scaled = {view: values * 7 for view, values in views.items()}
    first, second = (MSER(**SMALL).bind(v)(trial, setting("i2v", trial)) for v in (views, scaled))
    np.testing.assert_allclose(first, second, atol=1e-5)


def test_no_visible_side_is_a_clear_error():
    trial = Trial(np.arange(12), np.arange(12, 40))
    with pytest.raises(ConfigError, match="TEST.RERANKER MSER: some search has no visible side"):
        MSER(**SMALL).check([setting("i2i", trial)])


@pytest.mark.parametrize("among_queries", [True, False])
def test_k1_larger_than_the_set_is_a_clear_error(among_queries):
    trial = Trial(np.arange(12), np.arange(12, 40))
    settings = {**SMALL, "k1": 200, "query_neighbours_only": among_queries}
    with pytest.raises(ConfigError, match="TEST.MSER on some search: k1 is 200"):
        MSER(**settings).bind(features())(trial, setting("i2v", trial))


def test_the_config_names_it(config):
    cfg = config("MCJA/configs/regdb.yml")
    reranker = build_reranker(cfg)
    assert isinstance(reranker, MSER)
    assert (reranker.k1, reranker.k2, reranker.lambda_value) == (50, 10, 0.2)
    assert not reranker.query_neighbours_only
    cfg.TEST.RERANKER = ""
    assert build_reranker(cfg) is None
    assert build_reranker(config("MCJA/configs/sysu_v1.yml")) is None


def test_infrared_images_are_extracted_once_and_only_the_visible_images_that_a_trial_uses(config, datasets):
    cfg = config(TEST__MSER__K1=3, TEST__MSER__K2=2, DATASETS__TRIALS=1)
    dataset = build_dataset(cfg, "SYSUMM01")
    model = build_model(cfg)
    seen = Counter()
    preprocess = model.preprocess

    def count(batch):
        seen.update(batch["modalities"].tolist())
        return preprocess(batch)

    model.preprocess = count
    evaluate_dataset(cfg, model, dataset, "SYSUMM01")
    used = Counter(
        int(dataset.test[position].modality)
        for position in used_positions(dataset.settings(cfg.DATASETS.TRIALS))
    )
    assert seen == {0: 4 * used[0], 1: used[1]}
