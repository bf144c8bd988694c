"""Galleries of both modalities, and distances brought to one scale in each, against plain loops."""

from pathlib import Path

import numpy as np
import pytest

from vireid.errors import UserError
from vireid.evaluation import (
    Setting,
    Trial,
    evaluate_settings,
    llcm_settings,
    mixed_settings,
    normalize_by_modality,
    regdb_settings,
    sysu_settings,
)
from vireid.evaluation.llcm import AS_RELEASED
from vireid.evaluation.mixed import own_modality_first

GOLDEN = Path(__file__).parents[2] / "golden"
PERCENTS = (0, 25, 50, 75)


class Images:
    """Labels of test images in random order; each camera has ``of_each`` visible or infrared images of each
    identity."""

    def __init__(self, cameras, of_each=(4, 4), identities=9, seed=0):
        rows = [
            (pid, camera, modality, number)
            for pid in range(1, identities + 1)
            for camera, modality in cameras
            for number in range(1, of_each[modality] + 1)
        ]
        order = np.random.default_rng(seed).permutation(len(rows))
        self.pids, self.camids, self.modalities, self.numbers = np.array(rows)[order].T

    def mixed(self, settings, percents=PERCENTS, searchable=None):
        return mixed_settings(settings, self.pids, self.camids, self.modalities, percents, searchable)


def sysu():
    """SYSU-MM01's cameras, of which 3 and 6 are infrared and 3 is in the place of 2."""
    images = Images([(1, 0), (2, 0), (3, 1), (4, 0), (5, 0), (6, 1)], of_each=(12, 16))
    return images, sysu_settings(images.pids, images.camids, images.numbers, None, trials=3)


def llcm():
    """LLCM, each of whose cameras takes both modalities."""
    images = Images([(camera, modality) for camera in (1, 2, 5) for modality in (0, 1)])
    settings = llcm_settings(images.pids, images.camids, images.modalities, images.numbers, trials=3)
    return images, tuple(setting for setting in settings if setting.name != AS_RELEASED)


def regdb():
    """RegDB: one camera and ten images of each identity in each modality."""
    images = Images([(1, 0), (2, 1)], of_each=(10, 10))
    return images, regdb_settings(images.pids, images.modalities)


def sysu_leaves_out(images, query, other):
    """Every image of the query's place."""
    return images.camids[other] == images.camids[query] or (
        images.camids[query] == 3 and images.camids[other] == 2
    )


def llcm_leaves_out(images, query, other):
    """Every image of the query's identity and camera."""
    return images.pids[other] == images.pids[query] and images.camids[other] == images.camids[query]


PROTOCOLS = pytest.mark.parametrize(
    ("protocol", "left_out"),
    # A camera of RegDB is one modality, so that LLCM's rule is the one that is expected there.
    [(sysu, sysu_leaves_out), (llcm, llcm_leaves_out), (regdb, llcm_leaves_out)],
)


@PROTOCOLS
def test_shares_sizes_and_identities_of_mixed_galleries(protocol, left_out):
    images, settings = protocol()
    mixed = iter(images.mixed(settings))
    for setting in settings:
        own = {"i2v": 1, "v2i": 0}[setting.direction]
        changed = [set() for _ in setting.trials]  # the places that a smaller share replaces
        for percent in PERCENTS:
            found = next(mixed)
            assert found.name == f"{setting.name} with {percent}% {('visible', 'infrared')[own]}"
            assert (found.mixed, found.direction) == (percent, setting.direction)
            assert found.unique_pids == setting.unique_pids and len(found.trials) == len(setting.trials)
            for t, (trial, published) in enumerate(zip(found.trials, setting.trials)):
                assert np.array_equal(trial.query, published.query)
                assert len(trial.gallery) == len(published.gallery)  # each image once: Trial checks it
                assert np.array_equal(images.pids[trial.gallery], images.pids[published.gallery])
                of_own = images.modalities[trial.gallery] == own
                assert abs(of_own.sum() - percent / 100 * len(of_own)) <= 0.5
                assert np.array_equal(of_own, trial.gallery != published.gallery)
                assert changed[t] <= set(np.flatnonzero(of_own))
                changed[t] = set(np.flatnonzero(of_own))
    assert next(mixed, None) is None


@PROTOCOLS
def test_what_is_left_out_of_mixed_galleries(protocol, left_out):
    images, settings = protocol()
    for setting in images.mixed(settings, [50]):
        for trial in setting.trials:
            expected = [[left_out(images, q, g) for g in trial.gallery] for q in trial.query]
            assert np.array_equal(trial.exclude(), expected)
            assert trial.exclude()[trial.query[:, None] == trial.gallery[None, :]].all()  # never itself


@PROTOCOLS
def test_no_infrared_image_is_the_published_setting_and_a_draw_is_the_same_again(protocol, left_out):
    images, settings = protocol()
    features = np.random.default_rng(0).standard_normal((len(images.pids), 6)) + np.eye(10, 6)[images.pids]
    published = evaluate_settings(features, images.pids, settings)
    mixed = images.mixed(settings)
    nothing_in = [setting for setting in mixed if setting.mixed == 0]
    assert [setting.trials for setting in nothing_in] == [setting.trials for setting in settings]
    found = evaluate_settings(features, images.pids, [*settings, *nothing_in])
    for setting, same in zip(settings, nothing_in):
        assert found[setting.name] == found[same.name] == published[setting.name]
        assert setting.draw == same.draw
    for first, again in zip(mixed, images.mixed(settings)):
        for one, other in zip(first.trials, again.trials):
            assert np.array_equal(one.gallery, other.gallery)
    assert not np.array_equal(mixed[1].trials[0].gallery, mixed[2].trials[0].gallery)


def test_images_that_may_not_stand_in_a_gallery_do_not():
    images, settings = regdb()
    searchable = images.numbers > 4  # six of ten, which suffice for 50 percent
    for setting in images.mixed(settings, [50], searchable):
        (trial,) = setting.trials
        own = images.modalities[trial.gallery] == images.modalities[trial.query[0]]
        assert searchable[trial.gallery[own]].all()


def test_the_real_test_set_of_sysu_mm01_has_enough_infrared_images():
    """In all four settings; the largest has 3,010 gallery images, and there are 3,803 infrared ones."""
    golden = np.load(GOLDEN / "sysu_protocol.npz")
    pids, camids = golden["pids"], golden["camids"]
    settings = sysu_settings(pids, camids, golden["numbers"], None, trials=1)
    modalities = np.isin(camids, (3, 6)).astype(int)
    mixed = mixed_settings(settings, pids, camids, modalities, [75])
    shares = [modalities[setting.trials[0].gallery].sum() for setting in mixed]
    assert shares == [226, 2258, 84, 840]


def test_queries_whose_only_matches_are_of_their_camera_do_not_count():
    """One identity; RegDB's rule leaves out each infrared image of it."""
    trial = Trial(np.array([0, 1]), np.array([2, 3]))
    setting = Setting("i2v", (trial,), unique_pids=False, direction="i2v")
    (mixed,) = mixed_settings([setting], [1, 2, 1, 2], [2, 2, 1, 1], [1, 1, 0, 0], [50])
    (kept,) = set(mixed.trials[0].gallery.tolist()) & {2, 3}
    dist = np.zeros((2, 2))
    pids = np.array([1, 2, 1, 2])
    labels = pids[mixed.trials[0].query], pids[mixed.trials[0].gallery]
    own = np.array([1, 1, 0, 0])[mixed.trials[0].gallery] == np.ones((2, 1))
    first = own_modality_first(dist, labels, own, mixed.trials[0].exclude())
    # The query of the identity that keeps its visible image: its own modality's image may be nearer by order.
    assert first == float(mixed.trials[0].gallery.tolist().index(kept) == 1)
    result = evaluate_settings(np.eye(4), pids, [mixed], distance=lambda trial, setting: dist)
    assert result["i2v with 50% infrared"].mean["mAP"] in (50, 100)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"percents": [25, 100]}, "a mixed gallery of 100 percent; expected 0 to 99"),
        ({"percents": [-1]}, "a mixed gallery of -1 percent"),
        ({"percents": [25.0]}, "a mixed gallery of 25.0 percent"),
        (
            {"searchable": [False] * 180},
            r'setting "visible-to-infrared", trial 0, with 25% visible: 22 of 90 gallery images are to be '
            "replaced, and the test images suffice for 0: ask for a smaller share",
        ),
        (
            {"modalities": np.ones(180, dtype=int)},
            'setting "visible-to-infrared" has one modality among both queries and gallery',
        ),
    ],
)
def test_what_cannot_be_mixed_is_one_line(change, message):
    images, settings = regdb()
    arguments = {"modalities": images.modalities, "percents": [25], **change}
    with pytest.raises(UserError, match=message):
        mixed_settings(settings, images.pids, images.camids, **arguments)


def random_trial(seed, ties):
    """Distances, labels, which pairs are of one modality, and which are left out."""
    generator = np.random.default_rng(seed)
    dist = generator.random((7, 12)).astype(np.float32)
    dist = np.round(dist, 1) if ties else dist
    pids = generator.integers(0, 4, 7), generator.integers(0, 4, 12)
    own = generator.integers(0, 2, 7)[:, None] == generator.integers(0, 2, 12)[None, :]
    return dist, pids, own, generator.random((7, 12)) < 0.3


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("leave_out", [False, True])
def test_the_share_of_first_answers_of_the_own_modality(ties, leave_out):
    for seed in range(20):
        dist, (query_pids, gallery_pids), own, exclude = random_trial(seed, ties)
        exclude = exclude if leave_out else np.zeros_like(exclude)
        answers = []
        for q in range(7):
            ranked = [g for g in sorted(range(12), key=lambda g: (dist[q, g], g)) if not exclude[q, g]]
            if any(gallery_pids[g] == query_pids[q] for g in ranked):
                answers.append(own[q, ranked[0]])
        found = own_modality_first(dist, (query_pids, gallery_pids), own, exclude if leave_out else None)
        assert found == pytest.approx(np.mean(answers))


def modalities_of(seed):
    """Of 7 queries and 12 gallery images."""
    generator = np.random.default_rng(seed)
    return generator.integers(0, 2, 7), generator.integers(0, 2, 12)


@pytest.mark.parametrize("leave_out", [False, True])
def test_normalized_distances_equal_a_plain_loop(leave_out):
    dist, _, _, exclude = random_trial(5, False)
    queries, gallery = modalities_of(5)
    found = normalize_by_modality(dist, queries, gallery, exclude if leave_out else None)
    for asked in (0, 1):
        for searched in (0, 1):
            pairs = [
                (q, g) for q in range(7) for g in range(12) if (queries[q], gallery[g]) == (asked, searched)
            ]
            counted = [pair for pair in pairs if not (leave_out and exclude[pair])]
            values = [float(dist[pair]) for pair in counted]
            mean = sum(values) / len(values)
            spread = np.sqrt(sum((value - mean) ** 2 for value in values) / len(values))
            for pair in pairs:
                assert found[pair] == pytest.approx((float(dist[pair]) - mean) / spread)


def test_normalizing_keeps_the_order_of_each_modality_and_forgets_its_scale():
    dist, *_ = random_trial(1, False)
    queries, gallery = modalities_of(1)
    found = normalize_by_modality(dist, queries, gallery)
    across = queries[:, None] != gallery[None, :]
    scaled = normalize_by_modality(np.where(across, 100 * dist + 7, dist), queries, gallery)
    np.testing.assert_allclose(scaled, found, atol=1e-4)
    for q in range(7):
        for side in (across[q], ~across[q]):
            assert np.array_equal(np.argsort(found[q, side]), np.argsort(dist[q, side]))
    alone = normalize_by_modality(dist, np.ones(7), np.zeros(12))
    assert np.array_equal(np.argsort(alone, axis=1), np.argsort(dist, axis=1))


def test_normalizing_where_there_is_no_spread_or_nothing_that_counts():
    same = normalize_by_modality(np.full((2, 3), 0.5), np.zeros(2), np.zeros(3))
    assert np.array_equal(same, np.zeros((2, 3)))
    dist = np.arange(6.0).reshape(2, 3)
    assert np.array_equal(normalize_by_modality(dist, np.zeros(2), np.ones(3), np.ones((2, 3), bool)), dist)
