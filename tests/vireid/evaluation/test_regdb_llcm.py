import random

import numpy as np
import pytest

from plain_ranking import plain_metrics
from vireid.errors import ConfigError, UserError
from vireid.evaluation import evaluate_settings, llcm_settings, regdb_settings
from vireid.evaluation.llcm import AS_RELEASED


def llcm_images(seed=0):
    """(pid, camera, modality, file name) in random order; some identities miss cameras."""
    generator = np.random.default_rng(seed)
    rows = []
    for pid in (31, 4, 15, 92):
        for camera in (1, 2, 5, 9):
            for modality in (0, 1):
                names = generator.choice(1000, generator.integers(0, 6), replace=False)
                rows += [(pid, camera, modality, f"{pid:04d}_c{camera}_{n:06d}.jpg") for n in names]
    rows = [rows[i] for i in generator.permutation(len(rows))]
    return (np.array(column) for column in zip(*rows))


def test_regdb_scores_both_directions_by_images():
    pids, modalities = np.tile(np.arange(6), 10), np.repeat([0, 1], 30)
    features = np.random.default_rng(0).standard_normal((60, 8)) + np.eye(8)[pids]
    settings = regdb_settings(pids, modalities)
    found = evaluate_settings(features, pids, settings)
    assert [(s.name, s.direction) for s in settings] == [
        ("visible-to-infrared", "v2i"),
        ("infrared-to-visible", "i2v"),
    ]
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    dist = 1 - unit[:30] @ unit[30:].T
    for name, matrix in [("visible-to-infrared", dist), ("infrared-to-visible", dist.T)]:
        cmc, mean_ap, mean_inp, _ = plain_metrics(matrix, pids[:30], pids[:30])
        expected = [100 * value for value in (*cmc[[0, 4, 9, 19]], mean_ap, mean_inp)]
        np.testing.assert_allclose(list(found[name].mean.values()), expected)
        assert len(found[name].trials) == 1


def test_llcm_draws_as_the_published_code_does():
    pids, camids, modalities, names = llcm_images()
    settings = llcm_settings(pids, camids, modalities, names, trials=3)
    for setting, drawn_modality in zip(settings, (0, 1, 1)):
        transposed = setting.name == AS_RELEASED
        for seed, trial in enumerate(setting.trials):
            random.seed(seed)
            expected = []
            for pid in sorted(set(pids)):
                for camera in range(1, 10):
                    own = (pids == pid) & (camids == camera) & (modalities == drawn_modality)
                    if own.any():
                        expected.append(random.choice(sorted(names[own])))
            drawn, rest = (trial.query, trial.gallery) if transposed else (trial.gallery, trial.query)
            assert names[drawn].tolist() == expected
            assert sorted(names[rest]) == sorted(names[modalities == 1 - drawn_modality])
            own = (pids[trial.query][:, None] == pids[trial.gallery]) & (
                camids[trial.query][:, None] == camids[trial.gallery]
            )
            assert (trial.exclude() == own).all()
        assert setting.unique_pids
        assert setting.draw == ("queries" if transposed else "gallery") + " by random.seed(trial)"
    assert [(s.name, s.direction) for s in settings] == [
        ("infrared-to-visible", "i2v"),
        ("visible-to-infrared", "v2i"),
        ("visible-to-infrared as released", "i2v"),
    ]


def test_llcm_scores_equal_a_plain_loop_for_any_order_of_the_images():
    pids, camids, modalities, names = llcm_images(3)
    features = np.random.default_rng(0).standard_normal((len(pids), 8))
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    settings = llcm_settings(pids, camids, modalities, names)
    found = evaluate_settings(features, pids, settings)
    for setting in settings:
        for trial, figures in zip(setting.trials, found[setting.name].trials):
            dist = 1 - unit[trial.query] @ unit[trial.gallery].T
            cmc, mean_ap, mean_inp, _ = plain_metrics(
                dist, pids[trial.query], pids[trial.gallery], trial.exclude(), True
            )
            expected = [100 * value for value in (*cmc[[0, 4, 9, 19]], mean_ap, mean_inp)]
            np.testing.assert_allclose(list(figures.values()), expected)
    order = np.random.default_rng(1).permutation(len(pids))
    again = llcm_settings(pids[order], camids[order], modalities[order], names[order])
    assert evaluate_settings(features[order], pids[order], again) == found


def test_llcm_needs_a_trial():
    with pytest.raises(ConfigError, match="trials is 0"):
        llcm_settings([1], [1], [0], [1], trials=0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"modalities": [0, 1]}, "4 pids, .*2 modalities.*: there must be as many of each"),
        ({"modalities": [0, 0, 0, 0]}, r"modalities hold \[0\]; expected 0 .visible. and 1 .infrared."),
        ({"modalities": [0, 1, 2, 0]}, r"modalities hold \[0, 1, 2\]"),
        ({"modalities": [0, 1, np.nan, 0]}, "modalities has .* type float64; expected whole numbers"),
        ({"pids": [[1, 1], [2, 2]]}, r"pids has shape \(2, 2\)"),
    ],
)
def test_labels_that_do_not_fit_each_other(changes, message):
    whole = {"pids": [1, 1, 2, 2], "modalities": [0, 1, 0, 1]} | changes
    with pytest.raises(UserError, match=message):
        regdb_settings(**whole)
    with pytest.raises(UserError, match=message.replace("4 pids, ", "4 pids, 4 camids, ")):
        llcm_settings(camids=[1, 2, 1, 2], numbers=[1, 1, 1, 1], **whole)


def test_numbers_of_llcm_are_as_many_and_not_too_large():
    whole = {"pids": [1, 1], "camids": [1, 2], "modalities": [0, 1], "numbers": [1, 1]}
    with pytest.raises(UserError, match="2 pids and 1 numbers"):
        llcm_settings(**{**whole, "numbers": [1]})
    with pytest.raises(UserError, match="pids and camids must be from 0 to 2147483647"):
        llcm_settings(**{**whole, "pids": [1, 2**40]})
    for trials in (10**9, 0, 2.5, True):
        with pytest.raises(ConfigError, match=f"trials is {trials}; it must be at least 1, and at most 1000"):
            llcm_settings(**whole, trials=trials)
