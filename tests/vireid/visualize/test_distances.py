"""Pairs of images and the equal error rate, against plain loops."""

from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vireid.errors import UserError
from vireid.visualize.distances import KINDS, distance_figure, equal_error_rate, pair_distances
from vireid.visualize.image_set import ImageSet

DISTANCES = st.lists(st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.5, 0.8, 1.3, 2.0]), min_size=1, max_size=30)


def unit_features(count):
    return torch.nn.functional.normalize(torch.randn(count, 5, generator=torch.Generator().manual_seed(0)))


def test_each_pair_is_counted_once_in_its_kind():
    features, pids = unit_features(9), np.array([1, 1, 2, 2, 2, 1, 1, 2, 3])
    modalities = np.array([0, 0, 0, 0, 0, 1, 1, 1, 1])
    expected = {kind: ([], []) for kind in KINDS}
    names = {(0, 0): "visible - visible", (1, 1): "infrared - infrared", (0, 1): "visible - infrared"}
    for i, j in combinations(range(9), 2):
        kind = names[modalities[i], modalities[j]]
        expected[kind][int(pids[i] != pids[j])].append(1 - float(features[i] @ features[j]))
    found = pair_distances(features, pids, modalities)
    assert set(found) == set(KINDS)
    for kind, (matching, others) in expected.items():
        np.testing.assert_allclose(np.sort(found[kind].matching), np.sort(matching), atol=1e-6)
        np.testing.assert_allclose(np.sort(found[kind].others), np.sort(others), atol=1e-6)


def test_a_kind_without_matching_pairs_is_left_out():
    found = pair_distances(unit_features(4), np.array([1, 1, 2, 3]), np.array([0, 0, 1, 1]))
    assert list(found) == []
    found = pair_distances(unit_features(4), np.array([1, 1, 2, 1]), np.array([0, 0, 0, 1]))
    assert list(found) == ["visible - visible", "visible - infrared"]


@given(DISTANCES, DISTANCES)
def test_the_equal_error_rate_is_that_of_a_loop_over_all_thresholds(matching, others):
    best = None
    for threshold in sorted({*matching, *others}):
        rejected = Fraction(sum(distance > threshold for distance in matching), len(matching))
        accepted = Fraction(sum(distance <= threshold for distance in others), len(others))
        if best is None or abs(rejected - accepted) < best[0]:
            best = abs(rejected - accepted), float(rejected + accepted) / 2, threshold
    rate, threshold = equal_error_rate(np.array(matching), np.array(others))
    assert rate == pytest.approx(best[1]) and threshold == best[2]


def test_pairs_that_are_told_apart_have_no_error_and_reversed_ones_nothing_else():
    assert equal_error_rate(np.array([0.1, 0.2]), np.array([0.5, 0.9]))[0] == 0
    assert equal_error_rate(np.array([0.5, 0.9]), np.array([0.1, 0.2]))[0] == 1
    assert equal_error_rate(np.array([0.1, 0.4]), np.array([0.3, 0.9])) == (0.5, 0.3)


def test_a_set_without_pairs_is_refused():
    with pytest.raises(UserError, match="RegDB, test set: no kind of pairs has both matching and other"):
        distance_figure(ImageSet("RegDB, test set", [], torch.zeros(0, 5)))
