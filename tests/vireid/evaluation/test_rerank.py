import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from plain_ranking import plain_k_reciprocal_jaccard
from vireid.errors import ConfigError, UserError
from vireid.evaluation import k_reciprocal_jaccard
from vireid.evaluation.neighbours import lists_and_furthest, neighbour_lists, smallest_columns
from vireid.evaluation.rank_kernel import rank_matches
from vireid.evaluation.reciprocal import neighbour_weights, reciprocal_sets
from vireid.evaluation.sparse_rows import mean_rows


def unit_features(count, size=16, identities=8, seed=0):
    generator = np.random.default_rng(seed)
    centers = generator.standard_normal((identities, size))
    features = centers[generator.integers(0, identities, count)] + generator.standard_normal((count, size))
    return (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize(
    ("queries", "gallery", "k1", "k2"),
    [
        (30, 60, 20, 6),
        (1, 25, 5, 1),
        (40, 3, 7, 3),
        (10, 10, 1, 1),
        (10, 10, 2, 6),
        (5, 15, 20, 20),
        (20, 9, 6, 29),
    ],
)
def test_equals_dense_loops(queries, gallery, k1, k2):
    features = unit_features(queries + gallery, seed=k1)
    found = k_reciprocal_jaccard(features[:queries], features[queries:], k1, k2)
    expected = plain_k_reciprocal_jaccard(features[:queries], features[queries:], k1, k2)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 40), st.integers(1, 12), st.integers(1, 8))
def test_equal_distances_go_by_position(seed, count, k1, k2):
    """Small integers: distances are exact, and many of them equal, between copies too."""
    features = np.random.default_rng(seed).integers(0, 3, (count, 3)).astype(np.float32)
    k1, k2, queries = min(k1, count), min(k2, count), count // 2
    found = k_reciprocal_jaccard(features[:queries], features[queries:], k1, k2)
    expected = plain_k_reciprocal_jaccard(features[:queries], features[queries:], k1, k2)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(("k1", "k2"), [(20, 6), (30, 1), (7, 12)])
def test_equals_the_toolkit(k1, k2):
    pytest.importorskip("fastreid")
    from fastreid.utils.compute_dist import compute_jaccard_distance

    import vireid  # noqa: F401  (makes the toolkit importable)

    features = torch.from_numpy(unit_features(700, 64, 40))
    expected = compute_jaccard_distance(features, k1, k2, search_option=3)[:250, 250:]
    found = k_reciprocal_jaccard(features[:250], features[250:], k1, k2)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_permuting_the_gallery_permutes_the_columns():
    features = unit_features(90)
    order = np.random.default_rng(1).permutation(60)
    found = k_reciprocal_jaccard(features[:30], features[30:])
    again = k_reciprocal_jaccard(features[:30], features[30:][order])
    np.testing.assert_allclose(again, found[:, order], atol=1e-5)


def test_other_input_types():
    features = unit_features(60)
    expected = k_reciprocal_jaccard(features[:20], features[20:], 10, 4)
    for convert in (torch.from_numpy, lambda x: x.astype(np.float64), lambda x: torch.from_numpy(x).double()):
        found = k_reciprocal_jaccard(convert(features[:20]), convert(features[20:]), 10, 4)
        np.testing.assert_allclose(found, expected, atol=1e-5)
    track = torch.from_numpy(features[:20]).requires_grad_()
    np.testing.assert_allclose(k_reciprocal_jaccard(track, features[20:], 10, 4), expected, atol=1e-5)


@pytest.mark.gpu
def test_features_on_a_gpu(gpu):
    features = torch.from_numpy(unit_features(500))
    expected = k_reciprocal_jaccard(features[:200], features[200:])
    found = k_reciprocal_jaccard(features[:200].to(gpu), features[200:].to(gpu))
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_blocks_of_distances_give_the_lists_of_a_full_sort(monkeypatch):
    monkeypatch.setattr("vireid.evaluation.neighbours._BLOCK_VALUES", 1000)
    features = np.random.default_rng(0).integers(0, 3, (150, 4)).astype(np.float32)
    lists, furthest = lists_and_furthest(torch.from_numpy(features), 12)
    dist = ((features[:, None] - features[None]) ** 2).sum(axis=2)
    np.testing.assert_array_equal(lists, np.argsort(dist, axis=1, kind="stable")[:, :12])
    np.testing.assert_array_equal(furthest, dist.max(axis=1))
    np.testing.assert_array_equal(neighbour_lists(torch.from_numpy(features), 12), lists)
    np.testing.assert_array_equal(
        smallest_columns(torch.from_numpy(dist), 150), np.argsort(dist, axis=1, kind="stable")
    )


@pytest.mark.parametrize(
    ("query", "gallery", "options", "error", "message"),
    [
        (np.ones((3, 4)), np.ones((5, 4)), {"k1": 9, "k2": 1}, ConfigError, r"k1 is 9; it must be in 1\.\.8"),
        (np.ones((3, 4)), np.ones((5, 4)), {"k1": 8, "k2": 9}, ConfigError, r"k2 is 9; it must be in 1\.\.8"),
        (np.ones((3, 4)), np.ones((5, 4)), {"k1": 4, "k2": 0}, ConfigError, "k2 is 0"),
        (np.ones((3, 4)), np.ones((5, 3)), {}, UserError, r"gallery has shape \(5, 3\); expected \(n, 4\)"),
        (np.ones(4), np.ones((5, 4)), {}, UserError, r"query has shape \(4,\); expected \(n, D\)"),
        (np.ones((3, 4)), np.full((5, 4), np.nan), {}, UserError, "gallery: 5 of 5 features are NaN"),
    ],
)
def test_errors(query, gallery, options, error, message):
    with pytest.raises(error, match=message):
        k_reciprocal_jaccard(query, gallery, **options)


@pytest.mark.parametrize("scale", [1e-20, 1e20])
def test_features_whose_distances_overflow_or_vanish_are_refused(scale):
    features = unit_features(20) * np.float32(scale)
    with pytest.raises(UserError, match="query: the largest value is .*; re-ranking needs one between"):
        k_reciprocal_jaccard(features[:5], features[5:], 4, 2)


@pytest.mark.parametrize("k1", [True, 2.5])
def test_k1_is_an_integer(k1):
    with pytest.raises(ConfigError, match=f"k1 is {k1}; it must be in"):
        k_reciprocal_jaccard(np.ones((3, 4)), np.ones((5, 4)), k1, 1)


def test_items_with_more_copies_than_neighbours_have_finite_distances():
    """An item's own list then holds its copies alone; far apart, all other weights vanish."""
    features = np.repeat(np.array([[0.0, 0.0], [1e4, 0.0], [0.0, 1e4]], dtype=np.float32), 8, axis=0)
    found = k_reciprocal_jaccard(features[::2], features[1::2], 3, 2)
    assert np.isfinite(found).all()


def test_no_loop_reads_beyond_the_end_of_what_it_is_given():
    features = np.zeros((4, 2), dtype=np.float32)
    lists = np.zeros((4, 2), dtype=np.int32)
    with pytest.raises(ValueError, match="lists hold 0 to 4; expected -1 to 3, the rows"):
        reciprocal_sets(features, lists + np.array([0, 4], dtype=np.int32))
    with pytest.raises(ValueError, match=r"lists has shape \(4, 2\); expected \(3, 2\)"):
        reciprocal_sets(features[:3], lists)
    sets = reciprocal_sets(features, lists)
    with pytest.raises(ValueError, match=r"scale has shape \(3,\); expected \(4,\)"):
        neighbour_weights(sets, np.ones(3))
    with pytest.raises(ValueError, match="members hold 0 to 7"):
        mean_rows(sets, np.array([[0, 7]], dtype=np.int32), 4)
    with pytest.raises(ValueError, match="columns hold 0 to 0; expected -1 to -1"):
        mean_rows(sets, lists, 0)
    with pytest.raises(ValueError, match="count is 3; expected 1 to 2"):
        smallest_columns(torch.zeros(4, 2), 3)
    assert smallest_columns(torch.full((1, 2), torch.inf), 2).tolist() == [[-1, -1]]


def test_ranking_with_lengths_that_disagree_is_refused():
    arrays = {
        "dist": np.zeros((2, 3)), "query_pids": np.zeros(2), "candidate_pids": np.zeros(3),
        "query_keys": np.zeros(2), "candidate_keys": np.zeros(3), "exclude": np.zeros((2, 3), bool),
        "place": np.arange(3, dtype=np.int32)[:, None], "unique": np.array([True]),
    }  # fmt: skip
    rank_matches(**arrays)
    for name in (
        "query_pids",
        "candidate_pids",
        "query_keys",
        "candidate_keys",
        "exclude",
        "place",
        "unique",
    ):
        longer = np.concatenate([arrays[name], arrays[name]])
        with pytest.raises(ValueError, match=f"{name} has shape .*; expected"):
            rank_matches(**{**arrays, name: longer})
