import logging
from pathlib import Path

import numpy as np
import pytest
import torch

from mcja import CrossModalityRetrievalLoss
from plain_soft_rank import plain_soft_rank
from vireid.errors import ConfigError

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "cmr.npz")


def random_batch(modalities, identities, size=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    embeddings = torch.randn(len(modalities), size, generator=generator)
    targets = torch.randint(0, identities, (len(modalities),), generator=generator)
    return embeddings, targets, torch.tensor(modalities)


def plain_cmr(embeddings, targets, modalities, strength):
    embeddings, targets, modalities = (t.numpy() for t in (embeddings.double(), targets, modalities))
    losses = []
    for modality in (0, 1, 2):
        errors = []
        gallery = [g for g in range(len(targets)) if modalities[g] != modality]
        for q in range(len(targets)):
            match = [targets[g] == targets[q] for g in gallery]
            if modalities[q] != modality or not any(match) or all(match):
                continue
            distances = []
            for g in gallery:
                norms = np.linalg.norm(embeddings[q]) * np.linalg.norm(embeddings[g])
                distances.append((1 - embeddings[q] @ embeddings[g] / norms) / 2)
            ranks, _ = plain_soft_rank(np.array(distances), strength, np.zeros(len(gallery)))
            wanted = [1 if m else len(gallery) for m in match]
            errors += [abs(rank - target) for rank, target in zip(ranks, wanted)]
        if errors:
            losses.append(np.mean(errors))
    return np.mean(losses) if losses else 0.0


def test_equals_the_published_loss_and_gradient():
    embeddings = torch.tensor(GOLDEN["embeddings"], requires_grad=True)
    targets, modalities = torch.tensor(GOLDEN["labels"]), torch.tensor(GOLDEN["modality"])
    loss = CrossModalityRetrievalLoss()(embeddings, targets, modalities)
    loss.backward()
    assert loss.item() == pytest.approx(float(GOLDEN["loss"]), rel=1e-5)
    assert np.abs(embeddings.grad.numpy() - GOLDEN["grad"]).max() <= 1e-5 * np.abs(GOLDEN["grad"]).max()


@pytest.mark.parametrize("strength", [0.02, 0.5])
@pytest.mark.parametrize("modalities", [[0] * 9 + [1] * 7, [0] * 6 + [1] * 5 + [2] * 4, [1, 0, 1, 1, 0, 0]])
def test_equals_the_plain_loop(modalities, strength):
    for seed in range(5):
        batch = random_batch(modalities, identities=3, seed=seed)
        loss = CrossModalityRetrievalLoss(strength)(*batch)
        assert loss.item() == pytest.approx(plain_cmr(*batch, strength), rel=1e-5, abs=1e-6)


def test_order_and_scale_of_the_embeddings_do_not_matter():
    embeddings, targets, modalities = random_batch([0] * 8 + [1] * 8, identities=3)
    order = torch.randperm(16, generator=torch.Generator().manual_seed(0))
    loss = CrossModalityRetrievalLoss()
    expected = loss(embeddings, targets, modalities)
    torch.testing.assert_close(loss(embeddings[order] * 9, targets[order], modalities[order]), expected)


def test_a_larger_batch_raises_the_value_and_not_the_gradient():
    """The ranks are among more images. The gradient of an image is taken times their number."""
    values, gradients = [], []
    for images in (2, 8):  # of each modality, of 8 identities
        targets = torch.arange(8).repeat_interleave(images).repeat(2)
        modalities = torch.tensor([0, 1]).repeat_interleave(8 * images)
        generator = torch.Generator().manual_seed(0)
        centers = torch.randn(8, 192, generator=generator)
        noise = torch.randn(len(targets), 192, generator=generator)
        embeddings = (centers[targets] + noise).requires_grad_()
        loss = CrossModalityRetrievalLoss()(embeddings, targets, modalities)
        loss.backward()
        values.append(loss.item())
        gradients.append(embeddings.grad.norm(dim=1).mean().item() * len(targets))
    assert values[1] > 4 * values[0]
    assert gradients[1] < gradients[0]


def test_queries_without_a_match_or_with_matches_only_are_left_out():
    embeddings = torch.randn(5, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    targets, modalities = torch.tensor([0, 7, 0, 0, 0]), torch.tensor([0, 0, 1, 1, 1])
    loss = CrossModalityRetrievalLoss()(embeddings, targets, modalities)
    loss.backward()
    # Visible 0 has matches only and visible 1 none: only the infrared queries count, with both in
    # their gallery.
    ranks = plain_cmr(embeddings.detach(), targets, modalities, 0.5)
    assert loss.item() == pytest.approx(ranks, rel=1e-5) and embeddings.grad[1].abs().sum() > 0


@pytest.mark.parametrize(
    "targets, modalities",
    [([0, 1, 0, 1], [0, 0, 0, 0]), ([0, 0, 0, 0], [0, 0, 1, 1]), ([0, 1, 2, 3], [0, 0, 1, 1]), ([], [])],
    ids=["one modality", "one identity", "no match", "no image"],
)
def test_nothing_to_rank_is_a_zero_with_a_graph_and_one_warning(targets, modalities, caplog):
    loss = CrossModalityRetrievalLoss()
    embeddings = torch.randn(len(targets), 4).requires_grad_()
    with caplog.at_level(logging.WARNING, "fastreid.mcja"):
        for _ in range(3):
            value = loss(
                embeddings,
                torch.tensor(targets, dtype=torch.long),
                torch.tensor(modalities, dtype=torch.long),
            )
    value.backward()
    assert value.item() == 0 and torch.equal(embeddings.grad, torch.zeros_like(embeddings))
    assert [record.message.count("The CMR loss is zero") for record in caplog.records] == [1]


def test_float32_within_autocast():
    batch = random_batch([0] * 8 + [1] * 8, identities=3)
    expected = CrossModalityRetrievalLoss()(*batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(CrossModalityRetrievalLoss()(*batch), expected)
        low = CrossModalityRetrievalLoss()(batch[0].bfloat16(), *batch[1:])
    assert low.dtype == torch.float32 and low.item() == pytest.approx(expected.item(), rel=1e-2)


def test_a_strength_of_zero_is_refused(config):
    with pytest.raises(ConfigError, match=r"MODEL\.LOSSES\.CMR\.STRENGTH is 0\.0"):
        CrossModalityRetrievalLoss.from_config(config(MODEL__LOSSES__CMR__STRENGTH=0.0))
