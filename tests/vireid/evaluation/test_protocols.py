import numpy as np
import pytest
import torch

from plain_ranking import plain_metrics
from vireid.errors import ConfigError, UserError
from vireid.evaluation import METRICS, Setting, Trial, evaluate_settings
from vireid.evaluation.features import count_alike


def random_settings(seed, num_images=120, num_trials=7):
    """Settings that share queries (one of them with keys of its own) and one that does not."""
    generator = np.random.default_rng(seed)
    query, pool = np.arange(0, num_images, 3), np.flatnonzero(np.arange(num_images) % 3)
    keys = generator.integers(0, 4, num_images)

    def gallery(size):
        return generator.permutation(pool)[:size]

    def trials(size, keyed):
        drawn = [gallery(size) for _ in range(num_trials)]
        return tuple(Trial(query, g, keys[query], keys[g]) if keyed else Trial(query, g) for g in drawn)

    other = tuple(
        Trial(generator.permutation(query)[:20], gallery(40), np.zeros(20, dtype=int), np.arange(40))
        for _ in range(3)
    )
    clashing = tuple(
        Trial(query, g, keys[query], keys[g] + shift) for shift, g in enumerate([gallery(30), gallery(30)])
    )
    return [
        Setting("small", trials(20, True), True, "i2v"),
        Setting("large", trials(60, True), False, "i2v"),
        Setting("without keys", trials(50, False), True, "i2v"),
        Setting("other queries", other, False, "v2i"),
        Setting("keys of each trial", clashing, True, "i2v"),
    ]


def features_and_pids(seed, num_images=120, coarse=False):
    generator = np.random.default_rng(seed)
    pids = np.tile(np.arange(10), num_images // 10)
    if coarse:  # exact in float32, with equal distances by the dozen
        return generator.integers(0, 2, (num_images, 4)).astype(np.float32), pids
    return generator.standard_normal((num_images, 16)).astype(np.float32), pids


def plain(features, pids, settings, metric):
    expected = {}
    if metric == "cosine":
        features = features / np.linalg.norm(features, axis=1, keepdims=True)
    for setting in settings:
        rows = []
        for trial in setting.trials:
            difference = features[trial.query][:, None].astype(float) - features[trial.gallery][None]
            dist = (difference**2).sum(axis=2)
            cmc, mean_ap, mean_inp, _ = plain_metrics(
                dist, pids[trial.query], pids[trial.gallery], trial.exclude(), setting.unique_pids
            )
            rows.append([cmc[0], cmc[4], cmc[9], cmc[19], mean_ap, mean_inp])
        expected[setting.name] = 100 * np.array(rows)
    return expected


# Coarse features have equal distances by the dozen; normalized, these would differ by rounding.
@pytest.mark.parametrize(("metric", "coarse"), [("cosine", False), ("euclidean", False), ("euclidean", True)])
def test_equals_scoring_each_trial_by_sorting(metric, coarse):
    settings = random_settings(1)
    features, pids = features_and_pids(2, coarse=coarse)
    found = evaluate_settings(features, pids, settings, metric=metric)
    expected = plain(features, pids, settings, metric)
    assert list(found) == [setting.name for setting in settings]
    for name, result in found.items():
        table = np.array([[trial[m] for m in METRICS] for trial in result.trials])
        np.testing.assert_allclose(table, expected[name], atol=1e-9)
        np.testing.assert_allclose([result.mean[m] for m in METRICS], expected[name].mean(axis=0), atol=1e-9)
        np.testing.assert_allclose([result.std[m] for m in METRICS], expected[name].std(axis=0), atol=1e-9)


def test_a_distance_function_is_called_for_each_trial():
    settings = random_settings(1)
    features, pids = features_and_pids(2)
    seen = []

    def distance(trial, setting):
        seen.append(setting.name)
        return torch.cdist(torch.from_numpy(features[trial.query]), torch.from_numpy(features[trial.gallery]))

    found = evaluate_settings(features, pids, settings, distance=distance)
    expected = evaluate_settings(features, pids, settings, metric="euclidean")
    assert found == expected
    assert seen == [setting.name for setting in settings for _ in setting.trials]


def test_many_trials_and_blocks_of_rows(monkeypatch):
    features, pids = features_and_pids(3)
    settings = [random_settings(seed, num_trials=50)[0] for seed in (1, 2)]
    settings[1] = Setting("again", settings[1].trials, True, "i2v")
    expected = plain(features, pids, settings, "cosine")
    monkeypatch.setattr("vireid.evaluation.protocols._BLOCK_VALUES", 700)
    for name, result in evaluate_settings(features, pids, settings).items():
        table = np.array([[trial[m] for m in METRICS] for trial in result.trials])
        np.testing.assert_allclose(table, expected[name], atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_tensors_of_other_dtypes(dtype):
    features, pids = features_and_pids(2)
    tensor = torch.from_numpy(features).to(dtype)
    settings = random_settings(1)
    found = evaluate_settings(tensor, torch.from_numpy(pids), settings)
    expected = plain(tensor.double().numpy(), pids, settings, "cosine")
    for name, result in found.items():
        np.testing.assert_allclose(result.mean["mAP"], expected[name][:, 4].mean(), atol=1e-9)


@pytest.mark.gpu
def test_features_on_a_gpu(gpu):
    settings = random_settings(1)
    features, pids = features_and_pids(2)
    found = evaluate_settings(torch.from_numpy(features).to(gpu), pids, settings)
    for name, result in evaluate_settings(features, pids, settings).items():
        assert found[name].mean["mAP"] == pytest.approx(result.mean["mAP"], abs=0.05)


def test_errors():
    settings = random_settings(1)
    features, pids = features_and_pids(2)
    bad = features.copy()
    bad[3, 2], bad[7] = np.nan, np.inf
    with pytest.raises(UserError, match=r"2 of 120 features are NaN or infinite: rows 3, 7;"):
        evaluate_settings(bad, pids, settings)
    with pytest.raises(UserError, match=r"rows 3 \(3\.jpg\), 7 \(7\.jpg\)"):
        evaluate_settings(bad, pids, settings, names=[f"{i}.jpg" for i in range(120)])
    with pytest.raises(ConfigError, match='metric is "dot"'):
        evaluate_settings(features, pids, settings, metric="dot")
    with pytest.raises(UserError, match=r"shape \(120, 16\), for 119 pids"):
        evaluate_settings(features, pids[1:], settings)
    strangers = np.where(np.isin(np.arange(120), settings[0].trials[0].query), 99, pids)
    for distance in (None, lambda trial, setting: np.zeros((len(trial.query), len(trial.gallery)))):
        with pytest.raises(UserError, match='setting "small": none of the 40 queries'):
            evaluate_settings(features, strangers, settings, distance=distance)
    nobody = np.zeros(0, dtype=np.int64)
    for trial, message in [
        (Trial(nobody, np.arange(5)), "there are no query images"),
        (Trial(np.arange(5), nobody), "none of the 5 queries"),
    ]:
        with pytest.raises(UserError, match=f'setting "empty": {message}'):
            evaluate_settings(features, pids, [Setting("empty", (trial,), True, "i2v")])
    with pytest.raises(UserError, match=r'setting "small": dist has shape \(1, 1\)'):
        evaluate_settings(features, pids, settings, distance=lambda trial, setting: np.zeros((1, 1)))
    with pytest.raises(ValueError, match="an image twice"):
        Trial(np.arange(2), np.array([3, 3]))
    with pytest.raises(ValueError, match="both or neither"):
        Trial(np.arange(2), np.arange(2, 4), query_keys=np.arange(2))


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("scale", [2e-38, 1e-20, 1e15, 2e19, 1e38])
def test_the_scale_of_features_does_not_matter(metric, scale):
    settings = random_settings(1)
    features, pids = features_and_pids(2)
    expected = evaluate_settings(features, pids, settings, metric=metric)
    # A power of two changes no digit of a feature but those at the ends of the range.
    scaled = features * np.float32(2.0 ** round(np.log2(scale)))
    if np.isfinite(scaled).all():
        found = evaluate_settings(scaled, pids, settings, metric=metric)
        for name in expected:
            for figure in METRICS:
                assert found[name].mean[figure] == pytest.approx(expected[name].mean[figure], abs=0.5)


def test_rows_of_very_different_length_are_compared_in_double_precision():
    settings = [Setting("all", (Trial(np.arange(40), np.arange(40, 120)),), False, "i2v")]
    features, pids = features_and_pids(2)
    expected = evaluate_settings(features, pids, settings, metric="euclidean")
    features = np.concatenate(
        [features[:-1], features[-1:] * np.float32(1e20)]
    )  # one of the gallery is far away
    found = evaluate_settings(features, pids, settings, metric="euclidean")
    assert abs(found["all"].mean["mAP"] - expected["all"].mean["mAP"]) < 3
    apart = np.concatenate([features[:-1].astype(float) * 1e-200, features[-1:]])
    with pytest.raises(UserError, match="the largest value of one row is .*e-2.. times that of another"):
        evaluate_settings(apart, pids, settings, metric="euclidean")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"query_keys": np.arange(3)}, "4 query images and 3 query_keys"),
        ({"gallery_keys": np.arange(9)}, "5 gallery images and 9 gallery_keys"),
        (
            {"query_keys": np.array([0, 1, 2, np.nan])},
            r"query_keys has shape \(4,\) and type float64",
        ),
        ({"query_keys": np.array([0, 1, 2, 0.5])}, "expected whole numbers in one dimension"),
        ({"gallery": np.array([4, 5, 6, -7, 8])}, "gallery has position -7; expected 0 or more"),
        ({"gallery": np.array([4, 5, 6, 6, 8])}, "gallery holds an image twice"),
        ({"query": np.arange(4)[None]}, r"query has shape \(1, 4\)"),
        ({"query": ["a", "b", "c", "d"]}, "expected whole numbers"),
    ],
)
def test_a_trial_is_checked_when_it_is_made(changes, message):
    whole = {"query": np.arange(4), "gallery": np.arange(4, 9)}
    whole |= {"query_keys": np.arange(4), "gallery_keys": np.arange(5)}
    Trial(**whole)
    with pytest.raises(UserError, match=message):
        Trial(**{**whole, **changes})


def test_keys_of_other_types_mean_the_same():
    trial = Trial([0, 1], torch.tensor([2, 3]), np.array([0.0, 1.0]), np.array([1, 0], dtype=np.uint8))
    assert all(
        part.dtype == np.int64 for part in (trial.query, trial.gallery, trial.query_keys, trial.gallery_keys)
    )
    assert trial.exclude().tolist() == [[False, True], [True, False]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("", (Trial([0], [1]),), True, "i2v"), "a setting's name is ''"),
        (("a", (), True, "i2v"), 'setting "a": its trials are no tuple of one or more Trial'),
        (("a", ([0], [1]), True, "i2v"), "its trials are no tuple"),
        (("a", (Trial([0], [1]),), "yes", "i2v"), "unique_pids is 'yes'; expected True or False"),
        (("a", (Trial([0], [1]),), True, "i2v", "", 101), "mixed is 101; expected a percent or None"),
    ],
)
def test_a_setting_is_checked_when_it_is_made(arguments, message):
    with pytest.raises(UserError, match=message):
        Setting(*arguments)


def test_settings_that_do_not_fit_the_images():
    settings = random_settings(1)
    features, pids = features_and_pids(2)
    with pytest.raises(UserError, match='two settings are named "small": one of their results would be lost'):
        evaluate_settings(features, pids, [settings[0], settings[0]])
    with pytest.raises(UserError, match='setting "small", trial 0: position 119 is not among the 100 images'):
        evaluate_settings(features[:100], pids[:100], settings)
    with pytest.raises(UserError, match=r"pids has shape \(120, 1\)"):
        evaluate_settings(features, pids[:, None], settings)
    with pytest.raises(UserError, match="pids has .* type float64; expected whole numbers"):
        evaluate_settings(features, np.where(pids == 0, np.nan, pids), settings)
    with pytest.raises(UserError, match="features holds complex numbers"):
        evaluate_settings(features + 1j, pids, settings)
    with pytest.raises(UserError, match="features: expected an .n, D. array of numbers"):
        evaluate_settings(features.astype(str), pids, settings)


def test_a_query_that_would_find_itself_is_refused():
    with pytest.raises(UserError, match="holds 2 of its queries, such as position 3: each would find itself"):
        Trial([1, 3, 4], [5, 4, 3])
    with pytest.raises(UserError, match="holds 1 of its queries, such as position 4"):
        Trial([1, 3, 4], [5, 4, 3], [7, 8, 9], [0, 0, 8])
    assert Trial([1, 3, 4], [5, 4, 3], [7, 8, 9], [0, 9, 8]).exclude().sum() == 2


@pytest.mark.parametrize("text", [False, True])
def test_queries_that_have_a_match_are_counted_as_by_a_loop(text):
    generator = np.random.default_rng(3)
    pids = generator.integers(0, 30, 80)
    pids = np.array([f"P-{pid}" for pid in pids]) if text else pids
    features = generator.standard_normal((80, 4))
    for keyed in (False, True):
        keys = [generator.integers(0, 3, 40) for _ in range(2)] if keyed else []
        trial = Trial(np.arange(40), np.arange(40, 80), *keys)
        exclude = np.zeros((40, 40), dtype=bool) if trial.exclude() is None else trial.exclude()
        expected = [
            any(pids[g] == pids[q] and not exclude[q, g - 40] for g in range(40, 80)) for q in range(40)
        ]
        assert trial.matched(pids).tolist() == expected
        result = evaluate_settings(features, pids, [Setting("one", (trial, trial), False, "i2v")])["one"]
        assert (result.num_queries, result.num_valid_queries) == ([40, 40], [sum(expected)] * 2)
        further = result.extended([{"more": 1.0}, {"more": 2.0}])
        assert (further.num_valid_queries, further.mean["more"]) == ([sum(expected)] * 2, 1.5)


def test_features_that_say_nothing():
    settings = random_settings(1)
    features, pids = features_and_pids(2)
    features[[4, 9]] = 0
    with pytest.raises(UserError, match=r"2 of 120 features are zero: rows 4 \(4\.jpg\), 9 \(9\.jpg\)"):
        evaluate_settings(features, pids, settings, names=[f"{i}.jpg" for i in range(120)])
    assert evaluate_settings(features, pids, settings, metric="euclidean")["small"].mean["mAP"] > 0


def test_features_that_are_nearly_those_of_another_image_are_counted():
    features = np.random.default_rng(0).standard_normal((500, 64)).astype(np.float32)
    for first, others in ((3, [80, 81, 499]), (10, [20])):
        features[others] = 7 * features[first] + 1e-4
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    cosines = unit.astype(np.float64) @ unit.T.astype(np.float64)
    np.fill_diagonal(cosines, 0)
    assert count_alike(torch.from_numpy(features)) == (cosines.max(axis=1) > 1 - 1e-6).sum() == 6
    assert count_alike(torch.ones(1, 4)) == 0
