from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mcja import ranks as ranks_module
from mcja import soft_rank
from plain_soft_rank import plain_blocks, plain_soft_rank

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "cmr.npz")


def with_gradient(values, strength, weights):
    values = values.clone().requires_grad_()
    ranks = soft_rank(values, strength)
    (ranks * weights).sum().backward()
    return ranks.detach(), values.grad


@pytest.fixture(params=["pool adjacent violators", "min-max"])
def blocks(request, monkeypatch):
    """How the blocks are found: as on the CPU, or as elsewhere."""
    if request.param == "min-max":
        monkeypatch.setattr(ranks_module, "violating_blocks", ranks_module.min_max_blocks)


@pytest.mark.parametrize("strength", ["0.1", "0.5", "1.0", "2.0"])
def test_equals_the_published_package(blocks, strength):
    values, weights = torch.tensor(GOLDEN["softrank_in"]), torch.tensor(GOLDEN["softrank_w"])
    ranks, gradient = with_gradient(values, float(strength), weights)
    for ours, theirs in (
        (ranks, GOLDEN[f"softrank_{strength}"]),
        (gradient, GOLDEN[f"softrank_grad_{strength}"]),
    ):
        assert np.abs(ours.numpy() - theirs).max() <= 1e-5 * np.abs(theirs).max()


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    size=st.integers(1, 70),
    strength=st.sampled_from([0.1, 0.5, 1.0, 2.0]),
    kind=st.sampled_from(["narrow", "20 times", "60 times", "ties", "constant", "two groups"]),
)
def test_equals_the_plain_loop_far_outside_one_block(seed, size, strength, kind):
    generator = np.random.default_rng(seed)
    rows = {
        "narrow": generator.random((3, size)),
        "20 times": 20 * generator.random((3, size)),
        "60 times": 60 * generator.random((3, size)),
        "ties": generator.integers(0, 6, (3, size)) * 1.0,
        "constant": np.full((3, size), generator.random() * 50),
        "two groups": generator.random((3, size)) + 30 * generator.integers(0, 2, (3, size)),
    }[kind]
    weights = generator.standard_normal(size)
    ranks, gradient = with_gradient(torch.tensor(rows), strength, torch.tensor(weights))
    for row, rank, grad in zip(rows, ranks.numpy(), gradient.numpy()):
        plain_rank, plain_gradient = plain_soft_rank(row, strength, weights)
        np.testing.assert_allclose(rank, plain_rank, atol=1e-8 * size)
        np.testing.assert_allclose(grad, plain_gradient, atol=1e-8 * size)


def test_wide_rows_have_many_blocks_and_a_small_strength_gives_hard_ranks():
    generator = np.random.default_rng(0)
    row = 60 * generator.random(64)
    assert len(plain_blocks(np.sort(row / 0.1)[::-1] - np.arange(64, 0, -1))) > 30
    hard = soft_rank(torch.tensor(row)[None], 1e-6)[0]
    assert hard.tolist() == pytest.approx((np.argsort(np.argsort(row)) + 1).tolist())


def test_one_block_has_the_closed_form():
    """In CMR distances are in 0..1 and the strength is 0.5."""
    distances = torch.rand(20, 37, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    closed = 2 * (distances - distances.mean(dim=1, keepdim=True)) + 38 / 2
    torch.testing.assert_close(soft_rank(distances, 0.5), closed)


def test_gradients_of_first_and_second_order():
    values = (torch.rand(2, 9, dtype=torch.float64) * 8).requires_grad_()
    assert torch.autograd.gradcheck(soft_rank, (values, 0.5))
    assert torch.autograd.gradgradcheck(soft_rank, (values, 0.5))


def test_a_permutation_of_a_row_permutes_its_ranks():
    values = torch.rand(4, 50, generator=torch.Generator().manual_seed(0)) * 20
    order = torch.randperm(50, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(soft_rank(values[:, order]), soft_rank(values)[:, order])
    # A row does not see the others, nor how they lie in memory.
    torch.testing.assert_close(soft_rank(values.T.contiguous().T), soft_rank(values))


def test_values_of_great_magnitude_keep_their_ranks():
    values = torch.rand(2, 64, generator=torch.Generator().manual_seed(0)) + 1000
    torch.testing.assert_close(soft_rank(values), soft_rank(values - 1000), atol=1e-4, rtol=0)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_float32_whatever_comes_in_and_within_autocast(dtype):
    values = torch.rand(4, 64, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(soft_rank(values), soft_rank(values.clone()))
        assert soft_rank(values).dtype == torch.float32
    low = values.to(dtype)
    assert torch.equal(soft_rank(low), soft_rank(low.float()))
    assert soft_rank(values.double()).dtype == torch.float64


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    size=st.integers(0, 40),
    spread=st.sampled_from([0.0, 1.0, 20.0, 400.0]),
    levels=st.sampled_from([0, 2, 6]),
)
def test_the_min_max_formula_finds_the_blocks_of_pool_adjacent_violators(seed, size, spread, levels):
    generator = torch.Generator().manual_seed(seed)
    rows = torch.rand(5, size, generator=generator, dtype=torch.float64)
    if levels:
        rows = (rows * levels).floor()  # ties
    sorted_rows = (rows * spread).sort(dim=1, descending=True).values
    targets = sorted_rows - torch.arange(size, 0, -1, dtype=torch.float64)
    assert torch.equal(ranks_module.min_max_blocks(targets), ranks_module.violating_blocks(targets))


def test_the_min_max_formula_keeps_its_tables_small(monkeypatch):
    targets = torch.rand(7, 9, dtype=torch.float64)
    expected = ranks_module.min_max_blocks(targets)
    monkeypatch.setattr(ranks_module, "MOST_ENTRIES", 2 * 9**2)
    assert torch.equal(ranks_module.min_max_blocks(targets), expected)


@pytest.mark.gpu
def test_equal_on_a_gpu(gpu):
    values = torch.rand(64, 64, generator=torch.Generator().manual_seed(0)) * 60
    weights = torch.rand(64, 64, generator=torch.Generator().manual_seed(1))
    here, there = with_gradient(values, 0.5, weights), with_gradient(values.to(gpu), 0.5, weights.to(gpu))
    for ours, theirs in zip(here, there):
        torch.testing.assert_close(ours, theirs.cpu())


def test_shapes_at_the_edge_and_bad_arguments():
    assert soft_rank(torch.empty(0, 5)).shape == (0, 5)
    assert soft_rank(torch.empty(3, 0)).shape == (3, 0)
    assert soft_rank(torch.full((1, 1), 7.0)).tolist() == [[1.0]]
    with pytest.raises(ValueError, match="rows, columns"):
        soft_rank(torch.zeros(3))
    with pytest.raises(ValueError, match="above 0"):
        soft_rank(torch.zeros(3, 3), 0.0)


def test_nan_stays_in_its_row():
    values = torch.rand(2, 8)
    values[0, 3] = float("nan")
    ranks = soft_rank(values)
    assert ranks[0].isnan().any() and not ranks[1].isnan().any()


def test_memory_is_linear_in_the_row():
    """Nothing that autograd keeps is larger than a few rows."""
    sizes = []
    values = (torch.rand(4, 1024) * 60).requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(lambda t: sizes.append(t.numel()) or t, lambda t: t):
        soft_rank(values)
    assert sum(sizes) <= 10 * values.numel()
