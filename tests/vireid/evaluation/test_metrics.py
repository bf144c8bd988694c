from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from plain_ranking import plain_metrics, plain_ties
from vireid.errors import UserError
from vireid.evaluation import rank_metrics


def assert_same(found, expected):
    cmc, mean_ap, mean_inp, count = expected
    np.testing.assert_allclose(found.cmc, cmc, atol=1e-12)
    assert found.mAP == pytest.approx(mean_ap, abs=1e-12)
    assert found.mINP == pytest.approx(mean_inp, abs=1e-12)
    assert found.num_valid_queries == count


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 12),
    st.integers(1, 40),
    st.integers(1, 8),
    st.sampled_from([2, 5, 1000]),
    st.booleans(),
    st.sampled_from([None, 0.1, 0.6]),
)
def test_equals_sorting_each_row(seed, queries, gallery, identities, levels, unique_pids, share_excluded):
    """Few levels make many equal distances, few identities many matches, exclusions empty queries."""
    generator = np.random.default_rng(seed)
    dist = generator.integers(0, levels, (queries, gallery)).astype(np.float32)
    query_pids = generator.integers(0, identities + 1, queries) * 7 - 3
    gallery_pids = generator.integers(0, identities, gallery) * 7 - 3
    exclude = None if share_excluded is None else generator.random((queries, gallery)) < share_excluded
    allowed = query_pids[:, None] == gallery_pids[None, :]
    if exclude is not None:
        allowed &= ~exclude
    if not allowed.any():
        with pytest.raises(UserError, match=f"none of the {queries} queries has a match"):
            rank_metrics(dist, query_pids, gallery_pids, exclude=exclude, unique_pids=unique_pids)
        return
    found = rank_metrics(
        dist, query_pids, gallery_pids, exclude=exclude, unique_pids=unique_pids, max_rank=25
    )
    assert_same(found, plain_metrics(dist, query_pids, gallery_pids, exclude, unique_pids, 25))
    assert found.num_queries == queries
    assert found.ties == pytest.approx(plain_ties(dist, query_pids, gallery_pids, exclude))


def test_a_case_by_hand():
    """Gallery order by distance: b a a c a; b is one identity ahead, at the second place are the a's."""
    found = rank_metrics([[3, 1, 2, 4, 5]], [0], [0, 1, 0, 2, 0], max_rank=8)
    np.testing.assert_allclose(found.cmc, [0, 1, 1, 1, 1, 1, 1, 1])
    assert found.mAP == pytest.approx((1 / 2 + 2 / 3 + 3 / 5) / 3)
    assert found.mINP == pytest.approx(3 / 5)


def test_unique_pids_count_an_identity_once():
    dist, gallery_pids = [[1, 2, 3, 4]], [1, 1, 1, 0]
    assert rank_metrics(dist, [0], gallery_pids).cmc[1] == 0
    assert rank_metrics(dist, [0], gallery_pids, unique_pids=True).cmc[1] == 1


@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64, torch.uint8]
)
def test_tensors_of_any_dtype(dtype):
    generator = torch.Generator().manual_seed(0)
    dist = torch.randint(0, 50, (6, 30), generator=generator).to(dtype)
    query_pids, gallery_pids = torch.arange(6) % 4, torch.arange(30, dtype=torch.int32) % 5
    found = rank_metrics(dist.requires_grad_(dtype.is_floating_point), query_pids, gallery_pids)
    expected = plain_metrics(dist.detach().double().numpy(), query_pids.numpy(), gallery_pids.numpy())
    assert_same(found, expected)


def test_rows_and_columns_that_are_not_contiguous():
    dist = np.random.default_rng(0).random((20, 8)).T
    pids = np.arange(40) % 4
    assert_same(rank_metrics(dist, pids[:16:2], pids[::2]), plain_metrics(dist, pids[:16:2], pids[::2]))


def test_permuting_queries_or_a_gallery_without_ties_changes_nothing():
    generator = np.random.default_rng(0)
    dist, query_pids, gallery_pids = generator.random((15, 60)), np.arange(15) % 6, np.arange(60) % 7
    found = rank_metrics(dist, query_pids, gallery_pids, unique_pids=True)
    rows, columns = generator.permutation(15), generator.permutation(60)
    again = rank_metrics(dist[rows][:, columns], query_pids[rows], gallery_pids[columns], unique_pids=True)
    assert_same(again, (found.cmc, found.mAP, found.mINP, found.num_valid_queries))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [1e-44, 1e-30, 1e37, "spread", "clustered", "negative"])
def test_distances_of_any_size_and_spread(scale, dtype):
    generator = np.random.default_rng(0)
    dist = generator.random((8, 200))
    if scale == "spread":
        dist = 10.0 ** generator.uniform(-30, 30, dist.shape)
    elif scale == "clustered":
        dist = 1 + np.where(generator.random(dist.shape) < 0.9, 1e-7, 1e4) * dist
    elif scale == "negative":
        dist = -dist
    else:
        dist = dist * scale
    dist = dist.astype(dtype)
    query_pids, gallery_pids = np.arange(8) % 5, np.arange(200) % 6
    for unique_pids in (False, True):
        found = rank_metrics(dist, query_pids, gallery_pids, unique_pids=unique_pids)
        assert_same(found, plain_metrics(dist, query_pids, gallery_pids, unique_pids=unique_pids))


def test_threads_may_score_at_once():
    dist, pids = np.random.default_rng(0).random((50, 300)), np.arange(300) % 9
    expected = rank_metrics(dist, pids[:50], pids).mAP
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: rank_metrics(dist, pids[:50], pids).mAP, range(40)))
    assert found == [expected] * 40


def test_many_matches_and_a_single_gallery_image():
    dist = np.random.default_rng(0).random((3, 500))
    assert_same(rank_metrics(dist, [0, 1, 0], [0] * 500), plain_metrics(dist, [0, 1, 0], [0] * 500))
    assert rank_metrics([[0.5]], [4], [4]).cmc.tolist() == [1.0] * 20


@pytest.mark.parametrize(
    ("dist", "query_pids", "gallery_pids", "options", "message"),
    [
        ([[0.0, np.nan], [np.inf, 1.0]], [0, 1], [0, 1], {}, r"2 values .* first at \(0, 1\), \(1, 0\)"),
        ([[0.0, 1.0]], [0, 1], [0, 1], {}, r"shape \(1, 2\).*need \(2, 2\)"),
        ([0.0, 1.0], [0], [0, 1], {}, r"shape \(2,\)"),
        ([[0.0, 1.0]], [0], [0, 1], {"exclude": [[True]]}, r"exclude has shape \(1, 1\)"),
        ([[0.0, 1.0]], [0], [0, 1], {"exclude": [[True, False]]}, "none of the 1 queries"),
        ([[0.0, 1.0]], [5], [0, 1], {}, "same identities"),
        (np.zeros((0, 2)), [], [0, 1], {}, "none of the 0 queries"),
        (np.zeros((2, 0)), [0, 1], [], {}, "none of the 2 queries"),
        ([[0.0, 1.0]], [0], [0, 1], {"max_rank": 0}, "max_rank is 0"),
    ],
)
def test_errors(dist, query_pids, gallery_pids, options, message):
    with pytest.raises(UserError, match=message):
        rank_metrics(dist, query_pids, gallery_pids, **options)


def test_ranks_that_the_order_of_the_gallery_decides_are_a_warning(caplog):
    pids = np.repeat(np.arange(40), 3)
    found = rank_metrics(np.zeros((120, 120)), pids, pids, exclude=np.eye(120, dtype=bool))
    assert found.ties == 1
    (warning,) = caplog.messages
    assert warning.startswith(
        "these distances: equal distances decide 100 % of the ranks. They go by the order"
    )
    caplog.clear()
    dist = np.random.default_rng(0).random((120, 120))
    dist[0] = 0  # one query of 120
    assert 0 < rank_metrics(dist, pids, pids).ties < 0.01
    assert caplog.messages == []
