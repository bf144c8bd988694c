"""Figures of each identity, beside those of the protocol."""

import numpy as np
import pytest
import torch

from synthvi.ablation.scores import Scores, identity_scores
from vireid.engine.evaluation import Extracted
from vireid.engine.rerankers import ToolkitReranker
from vireid.evaluation import SYSUProtocol
from vireid.evaluation.protocols import evaluate_settings


class Item:
    def __init__(self, pid):
        self.pid = pid


@pytest.fixture
def extracted():
    """Random features of five identities, not all seen by every camera: identity 5 has no visible image."""
    draw = np.random.default_rng(0)
    images = [
        (pid, camera, number)
        for pid in range(1, 6)
        for camera in range(1, 7)
        for number in range(1, 2 + (pid + camera) % 3)
        if not (pid == 5 and camera not in (3, 6)) and not (pid == 2 and camera in (1, 4))
    ]
    pids, camids, numbers = np.array(images).T
    setting = SYSUProtocol(None, trials=3).setting(pids, camids, numbers)
    features = torch.from_numpy(draw.normal(size=(len(images), 6)).astype(np.float32))
    return Extracted([Item(pid) for pid in pids.tolist()], (setting,), {"image": features})


def test_their_mean_over_the_queries_is_the_figure_of_the_protocol(extracted):
    scores = identity_scores(extracted, ToolkitReranker("cosine").bind(extracted.features))
    setting = extracted.settings[0]
    expected = evaluate_settings(extracted.features["image"], extracted.pids, [setting])[setting.name].mean
    assert scores.pids.tolist() == [1, 2, 3, 4]
    assert scores.mean("Rank-1") == pytest.approx(expected["Rank-1"])
    assert scores.mean("mAP") == pytest.approx(expected["mAP"])


def test_an_identitys_figure_is_that_of_its_queries_alone(extracted):
    scores = identity_scores(extracted, ToolkitReranker("cosine").bind(extracted.features))
    features = torch.nn.functional.normalize(extracted.features["image"]).numpy()
    hits = []
    for trial in extracted.settings[0].trials:
        for query, key in zip(trial.query, trial.query_keys):
            if extracted.pids[query] == 2:
                allowed = trial.gallery[trial.gallery_keys != key]
                if 2 in extracted.pids[allowed]:
                    nearest = allowed[np.argmax(features[allowed] @ features[query])]
                    hits.append(extracted.pids[nearest] == 2)
    assert scores.queries[1] * 3 == len(hits)
    assert scores.figures["Rank-1"][1] == pytest.approx(100 * np.mean(hits))


def test_scores_survive_json_to_a_hundredth():
    scores = Scores(np.array([3]), np.array([4.0]), {"Rank-1": np.array([33.3333]), "mAP": np.array([50.0])})
    plain = scores.to_plain()
    assert plain == {"pids": [3], "queries": [4.0], "Rank-1": [33.33], "mAP": [50.0]}
    again = Scores.from_plain(plain)
    assert again.mean("Rank-1") == 33.33
