"""CAJ's losses, beside the numbers of the published code and plain loops."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from caj.losses import EnhancedSquaredDifference, VisibleInfraredDivergence

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "caj.npz")
SETTINGS = [(square, alpha, gamma) for square in (0, 1) for alpha, gamma in ((1, 1), (2, 1), (1, 2))]
IDS = torch.from_numpy(GOLDEN["ids"])
MODALITIES = torch.tensor([0] * 24 + [1] * 12)
VIEWS = torch.tensor([0] * 12 + [1] * 12 + [0] * 12)


def golden(name):
    return torch.from_numpy(GOLDEN[name])


@pytest.mark.parametrize("square, alpha, gamma", SETTINGS)
def test_the_enhanced_squared_difference_is_the_published_one(square, alpha, gamma):
    features = golden("features").requires_grad_()
    loss = EnhancedSquaredDifference(alpha, gamma, bool(square))(features, IDS)
    loss.backward()
    name = f"adp_s{square}_a{alpha}_g{gamma}"
    torch.testing.assert_close(loss.detach(), golden(name), atol=1e-9, rtol=0)
    torch.testing.assert_close(features.grad, golden(f"{name}_grad"), atol=1e-9, rtol=0)


def plain_difference(features, targets, alpha, gamma, square):
    """One image after another."""
    total = 0.0
    for i, pid in enumerate(targets):
        sums = []
        for positive in (True, False):
            distances = [
                math.sqrt(max(1e-12, float((features[i] - features[j]).square().sum())))
                for j, other in enumerate(targets)
                if (other == pid) == positive
            ]
            weights = [math.exp((alpha if positive else -alpha) * d) for d in distances]
            sums.append(sum(w * d for w, d in zip(weights, distances)) / sum(weights))
        difference = sums[0] - sums[1]
        s = math.copysign(min(88.0, gamma * difference**2), difference) if square else gamma * difference
        total += math.log1p(math.exp(s))
    return total / len(targets)


@pytest.mark.parametrize("square", [True, False])
def test_the_enhanced_squared_difference_is_that_of_plain_loops(square):
    torch.manual_seed(0)
    features, targets = torch.randn(12, 4, dtype=torch.float64), torch.arange(12) % 4
    loss = EnhancedSquaredDifference(1.5, 0.7, square)(features, targets)
    expected = plain_difference(features, targets.tolist(), 1.5, 0.7, square)
    assert float(loss) == pytest.approx(expected, rel=1e-4)  # 1e-6 is added to sums of weights


def test_far_features_give_a_finite_loss_and_a_bounded_square():
    features = torch.tensor([[0.0], [1000.0], [0.5], [999.0]], requires_grad=True)
    targets = torch.tensor([0, 0, 1, 1])
    loss = EnhancedSquaredDifference()(features, targets)
    assert float(loss.detach()) == pytest.approx(88.0)
    loss.backward()
    assert torch.equal(features.grad, torch.zeros_like(features))


def test_the_divergence_is_the_published_one():
    logits = golden("logits").requires_grad_()
    loss = VisibleInfraredDivergence()(logits, IDS, MODALITIES, VIEWS)
    loss.backward()
    torch.testing.assert_close(loss.detach(), golden("kl"), atol=1e-9, rtol=0)
    torch.testing.assert_close(logits.grad, golden("kl_grad"), atol=1e-9, rtol=0)


def test_the_divergence_compares_pairs_of_an_identity_wherever_they_are():
    torch.manual_seed(0)
    logits = torch.randn(9, 5, dtype=torch.float64)
    targets = torch.tensor([0, 1, 0, 2, 2, 0, 1, 1, 3])
    modalities = torch.tensor([0, 0, 0, 0, 0, 1, 1, 1, 1])
    pairs = [(0, 5), (1, 6)]  # 2, 4 and 7 are left over, 2 has no infrared image and 3 no visible one
    expected = 0.0
    for visible, infrared in pairs:
        wanted = (logits[infrared] / 3).softmax(0) + 1e-7
        expected += 9 * float((wanted * (wanted.log() - (logits[visible] / 3).log_softmax(0))).sum()) / 2
    loss = VisibleInfraredDivergence()(logits, targets, modalities)
    assert float(loss) == pytest.approx(expected, rel=1e-12)
    alone = VisibleInfraredDivergence()(logits[:5].requires_grad_(), targets[:5], modalities[:5])
    alone.backward()
    assert float(alone.detach()) == 0
