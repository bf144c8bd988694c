"""DEEN's losses, beside the numbers of the published code and plain loops."""

from pathlib import Path

import numpy as np
import pytest
import torch

from deen.losses import CenterPairMiningLoss, OrthogonalityLoss
from vireid.modeling.losses.toolkit import TripletLoss

GOLDEN = {
    name: torch.from_numpy(value)
    for name, value in np.load(Path(__file__).parents[1] / "golden" / "deen.npz").items()
    if value.ndim < 3
}
TARGETS = GOLDEN["ids"].repeat(6)
MODALITIES = torch.tensor([0] * 12 + [1] * 12).repeat(3)
BRANCHES = torch.arange(3).repeat_interleave(24)
LOSSES = {
    "cpm": lambda features: CenterPairMiningLoss()(features, TARGETS, MODALITIES, BRANCHES),
    "ort": lambda features: OrthogonalityLoss()(features, BRANCHES),
    "triplet": lambda features: TripletLoss(margin=0.3, hard_mining=True)(features, TARGETS),
}


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_the_published_one(name):
    features = GOLDEN["features"].clone().requires_grad_()
    loss = LOSSES[name](features)
    loss.backward()
    torch.testing.assert_close(loss.detach(), GOLDEN[name], atol=1e-9, rtol=0)
    torch.testing.assert_close(features.grad, GOLDEN[f"{name}_grad"], atol=1e-9, rtol=0)


def some_batch(seed=0):
    """Identities 0 to 2 have images of both modalities, 3 visible ones, 4 infrared ones; in no order."""
    torch.manual_seed(seed)
    labels = [(0, 0), (0, 0), (0, 1), (1, 0), (1, 1), (1, 1), (2, 0), (2, 1), (3, 0), (4, 1), (1, 2)]
    rows = torch.tensor([(*label, branch) for branch in range(3) for label in labels])
    rows = rows[torch.randperm(len(rows))]
    return torch.randn(len(rows), 5, dtype=torch.float64), *rows.unbind(1)


def plain_cpm(features, targets, modalities, branches, margin):
    """One identity after another."""

    def center(pid, modality, branch):
        return features[(targets == pid) & (modalities == modality) & (branches == branch)].mean(dim=0)

    def hinge(nearer, farther):
        return max(0.0, float((nearer - farther).clamp(min=-1e9)) + margin)

    total, pids = 0.0, (0, 1, 2)
    for branch in (1, 2):
        for own, other in ((0, 1), (1, 0)):
            for pid in pids:
                ours = center(pid, own, branch)
                distance = (ours - center(pid, other, 0)).norm()
                total += hinge(distance, (ours - center(pid, own, 0)).norm()) / 6
                for place in (branch, 0):
                    base = center(pid, own, place)
                    nearest = min((base - center(p, own, place)).norm() for p in pids if p != pid)
                    total += hinge(distance, nearest) / 12
    return total


def test_cpm_is_that_of_plain_loops_and_leaves_out_identities_of_one_modality():
    features, targets, modalities, branches = some_batch()
    expected = plain_cpm(features, targets, modalities, branches, 0.3)
    loss = CenterPairMiningLoss(0.3)(features, targets, modalities, branches)
    assert expected > 0.1
    assert float(loss) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("kept", [(3,), (3, 4), (0,)], ids=["one modality", "two of one each", "no other"])
def test_cpm_without_a_pair_or_another_identity_is_finite(kept):
    features, *labels = some_batch()
    mask = torch.isin(labels[0], torch.tensor(kept))
    chosen = features[mask].requires_grad_()
    loss = CenterPairMiningLoss()(chosen, *(label[mask] for label in labels))
    loss.backward()
    assert bool(torch.isfinite(loss)) and bool(torch.isfinite(chosen.grad).all())
    assert (float(loss.detach()) == 0) == (kept != (0,))


def test_orthogonality_is_the_sum_of_inner_products_of_an_images_branches():
    features, *_ = some_batch()
    branches = torch.tensor([0] * 4 + [1] * 4 + [2] * 4 + [0] * 7 + [1] * 7 + [2] * 7)  # two modalities
    pairs = [(4 + i, 8 + i) for i in range(4)] + [(19 + i, 26 + i) for i in range(7)]
    expected = sum(float(features[a] @ features[b]) for a, b in pairs) / 33
    assert float(OrthogonalityLoss()(features, branches)) == pytest.approx(expected, rel=1e-9)
