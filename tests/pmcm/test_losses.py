"""The losses against plain loops."""

import math

import pytest
import torch

from configs import tiny_config
from pmcm.losses import CenterToCenterLoss, PartAlignmentLoss, PatchMixedModalityLoss
from vireid.config.rules import check_values
from vireid.errors import ConfigError


def softmax(row):
    exponents = [math.exp(value - max(row)) for value in row]
    return [value / sum(exponents) for value in exponents]


def kl(first, second):
    return sum(p * math.log(p / q) for p, q in zip(softmax(first), softmax(second)))


def plain_center_to_center(features, targets, modalities):
    rows = [[value / math.sqrt(sum(v * v for v in row)) for value in row] for row in features.tolist()]
    distances = []
    for identity in set(targets.tolist()):
        centers = {}
        for modality in (0, 1, 2):
            labels = zip(rows, targets.tolist(), modalities.tolist())
            members = [row for row, t, m in labels if (t, m) == (identity, modality)]
            if members:
                centers[modality] = [sum(column) / len(members) for column in zip(*members)]
        for a, b in ((0, 1), (0, 2), (1, 2)):
            if a in centers and b in centers:
                distances.append(sum((x - y) ** 2 for x, y in zip(centers[a], centers[b])))
    return sum(distances) / len(distances) if distances else 0.0


@pytest.mark.parametrize("seed", range(3))
def test_center_to_center_equals_the_plain_loop(seed):
    torch.manual_seed(seed)
    features = torch.randn(20, 6, dtype=torch.double)
    targets, modalities = torch.randint(0, 5, (20,)), torch.randint(0, 3, (20,))
    loss = CenterToCenterLoss()(features, targets, modalities)
    assert loss.item() == pytest.approx(plain_center_to_center(features, targets, modalities), abs=1e-10)


def test_center_to_center_does_not_depend_on_order_or_scale():
    torch.manual_seed(0)
    features, targets, modalities = torch.randn(12, 4), torch.arange(12) % 2, torch.arange(12) % 3
    loss, order = CenterToCenterLoss(), torch.randperm(12)
    expected = loss(features, targets, modalities)
    torch.testing.assert_close(loss(features[order], targets[order], modalities[order]), expected)
    torch.testing.assert_close(loss(3 * features, targets, modalities), expected)


def test_center_to_center_of_one_modality_is_zero_with_a_gradient():
    features = torch.randn(4, 3, requires_grad=True)
    loss = CenterToCenterLoss()(features, torch.tensor([0, 0, 1, 1]), torch.zeros(4, dtype=torch.long))
    loss.backward()
    assert loss.item() == 0
    assert features.grad.abs().sum() == 0


def test_part_alignment_equals_the_plain_loop_and_does_not_move_the_global_prediction():
    torch.manual_seed(0)
    parts = torch.randn(3, 4, 5, dtype=torch.double, requires_grad=True)
    whole = torch.randn(4, 5, dtype=torch.double, requires_grad=True)
    targets = torch.tensor([0, 2, 4, 1])
    loss = PartAlignmentLoss()(parts, whole, targets)
    terms = [
        -math.log(softmax(parts[s, n].tolist())[targets[n]]) + kl(whole[n].tolist(), parts[s, n].tolist())
        for s in range(3)
        for n in range(4)
    ]
    assert loss.item() == pytest.approx(sum(terms) / len(terms), abs=1e-10)
    loss.backward()
    assert whole.grad is None


def plain_pmml(predictions, sources):
    """predictions: (heads, N, C); the last len(sources) rows are of mixed images."""
    total, count = 0.0, predictions.shape[1]
    for head in predictions.tolist():
        for m, (v, i) in enumerate(sources.tolist()):
            mixed = head[count - len(sources) + m]
            total += (kl(head[v], mixed) + kl(head[i], mixed)) / (len(sources) * len(predictions))
    return total


def labels(count, mixed):
    """Targets and modalities of a batch whose last images are mixed; the level "pair" ignores them."""
    originals = count - mixed
    modalities = [0] * (originals // 2) + [1] * (originals - originals // 2) + [2] * mixed
    return torch.zeros(count, dtype=torch.long), torch.tensor(modalities)


def plain_modality_pmml(predictions, targets, modalities):
    """predictions: (heads, N, C)."""
    terms = []
    for head in predictions.tolist():
        rows = [softmax(row) for row in head]
        for identity in sorted(set(targets.tolist())):
            means = []
            for modality in (0, 1, 2):
                own = [
                    row
                    for row, t, m in zip(rows, targets.tolist(), modalities.tolist())
                    if (t, m) == (identity, modality)
                ]
                means.append([sum(column) / len(own) for column in zip(*own)] if own else None)
            if all(means):
                visible, infrared, mixed = means
                terms.append(
                    sum(p * math.log(p / q) for first in (visible, infrared) for p, q in zip(first, mixed))
                )
    return sum(terms) / len(terms)


@pytest.mark.parametrize("with_parts", [False, True])
def test_pmml_of_modalities_equals_the_plain_loop(with_parts):
    torch.manual_seed(0)
    targets = torch.tensor([0, 0, 1, 2, 0, 1, 1, 2, 0, 1])  # identity 2 has no mixed image: it does not count
    modalities = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1, 2, 2])
    whole = torch.randn(10, 5, dtype=torch.double)
    parts = torch.randn(2, 10, 5, dtype=torch.double) if with_parts else None
    predictions = torch.cat([whole[None], parts]) if with_parts else whole[None]
    loss = PatchMixedModalityLoss(level="modality")
    found = loss(whole, torch.tensor([[0, 4], [2, 5]]), targets, modalities, parts)
    assert found.item() == pytest.approx(plain_modality_pmml(predictions, targets, modalities), abs=1e-10)
    order = torch.tensor([3, 1, 0, 2, 7, 5, 6, 4, 9, 8])
    shuffled = loss(
        whole[order], torch.tensor([[1, 6], [2, 5]]), targets[order], modalities[order],
        None if parts is None else parts[:, order],
    )  # fmt: skip
    torch.testing.assert_close(shuffled, found)


def test_pmml_of_modalities_moves_unlike_that_of_pairs():
    """One image of each modality: both levels are the same. Two: they are not."""
    torch.manual_seed(0)
    logits, targets = torch.randn(6, 5), torch.zeros(6, dtype=torch.long)
    one = torch.tensor([0, 1, 2])
    pair, modality = PatchMixedModalityLoss(), PatchMixedModalityLoss(level="modality")
    torch.testing.assert_close(
        pair(logits[:3], torch.tensor([[0, 1]]), targets[:3], one),
        modality(logits[:3], torch.tensor([[0, 1]]), targets[:3], one),
    )
    two, sources = torch.tensor([0, 0, 1, 1, 2, 2]), torch.tensor([[0, 2], [1, 3]])
    assert pair(logits, sources, targets, two) > modality(logits, sources, targets, two) + 0.01


def test_pmml_of_modalities_is_finite_where_a_probability_is_zero():
    """exp(-400) is 0 in float32; of one image of each modality, both levels are the same."""
    logits = (torch.eye(3) * 400).requires_grad_()
    sources, targets, modalities = torch.tensor([[0, 1]]), torch.zeros(3).long(), torch.arange(3)
    found = PatchMixedModalityLoss(level="modality")(logits, sources, targets, modalities)
    assert found.item() == pytest.approx(
        PatchMixedModalityLoss()(logits, sources, targets, modalities).item()
    )
    assert found.item() == pytest.approx(800)
    found.backward()
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("with_parts", [False, True])
def test_pmml_equals_the_plain_loop(with_parts):
    torch.manual_seed(0)
    whole = torch.randn(9, 5, dtype=torch.double)
    parts = torch.randn(2, 9, 5, dtype=torch.double) if with_parts else None
    sources = torch.tensor([[0, 3], [2, 5], [1, 4]])
    predictions = torch.cat([whole[None], parts]) if with_parts else whole[None]
    loss = PatchMixedModalityLoss()(whole, sources, *labels(9, 3), parts)
    assert loss.item() == pytest.approx(plain_pmml(predictions, sources), abs=1e-10)


@pytest.mark.parametrize(
    ("detach", "moved"), [("none", (True, True)), ("originals", (False, True)), ("mixed", (True, False))]
)
def test_pmml_detaches_the_side_it_is_told(detach, moved):
    logits = torch.randn(6, 5, requires_grad=True)
    PatchMixedModalityLoss(detach)(logits, torch.tensor([[0, 2], [1, 3]]), *labels(6, 2)).backward()
    gradient = logits.grad.abs().sum(dim=1) > 0
    assert (gradient[:4].any().item(), gradient[4:].any().item()) == moved


def test_pmml_is_zero_without_mixed_images_and_where_predictions_agree():
    logits = torch.randn(4, 5, requires_grad=True)
    loss = PatchMixedModalityLoss()(logits, torch.empty(0, 2, dtype=torch.long), *labels(4, 0))
    loss.backward()
    assert loss.item() == 0
    same = torch.randn(1, 5).expand(6, 5)
    assert PatchMixedModalityLoss()(
        same, torch.tensor([[0, 2], [1, 3]]), *labels(6, 2)
    ).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [("DETACH", "both", "none, originals or mixed"), ("LEVEL", "image", "pair or modality")],
)
def test_an_unknown_side_is_refused(key, value, expected):
    cfg = tiny_config("PMCM/configs/sysu.yml", **{f"MODEL__LOSSES__PMML__{key}": value})
    with pytest.raises(ConfigError, match=f"PMML.{key} is '{value}'; expected {expected}"):
        check_values(cfg)
