"""tools/modality_gap.py: what its descriptors see, and its scores on a small dataset."""

import numpy as np
import pytest
import torch
from PIL import Image

from generated_data import make
from synthvi.ablation import modality_gap as tool
from vireid.data.datasets import SYSUMM01


@pytest.fixture
def image():
    """Noise, darker below."""
    pixels = np.random.default_rng(0).integers(0, 200, (64, 32, 3))
    return Image.fromarray((pixels * np.linspace(1, 0.3, 64)[:, None, None]).astype(np.uint8))


def shuffled(image):
    """The same pixels in other places."""
    pixels = np.asarray(image).reshape(-1, 3)
    order = np.random.default_rng(1).permutation(len(pixels))
    return Image.fromarray(pixels[order].reshape(64, 32, 3))


def test_histograms_are_shares_of_levels_and_do_not_see_where_a_pixel_is(image):
    pixels = np.asarray(image)
    counted = [[np.mean(pixels[..., c] // 8 == level) for level in range(32)] for c in range(3)]
    np.testing.assert_allclose(tool.color_histogram(image) ** 2, np.concatenate(counted), atol=1e-12)
    for describe in (tool.color_histogram, tool.brightness_histogram):
        np.testing.assert_array_equal(describe(image), describe(shuffled(image)))
    assert np.abs(tool.gradient_histograms(image) - tool.gradient_histograms(shuffled(image))).max() > 0.1


def test_gradients_do_not_see_color_or_contrast(image):
    gray = image.convert("L")
    fainter = Image.fromarray(np.asarray(gray) // 2 * 2)
    half = Image.fromarray(np.asarray(fainter) // 2)
    np.testing.assert_allclose(
        tool.gradient_histograms(half), tool.gradient_histograms(fainter), rtol=1e-5, atol=1e-5
    )


def test_inputs_have_mean_0_and_deviation_1_in_each_modality_of_the_training_images():
    draw = np.random.default_rng(0)
    train, test = draw.normal(3, 2, (40, 5)), draw.normal(3, 2, (10, 5))
    kinds = [np.arange(40) % 2 == 0, np.arange(10) % 2 == 0]
    train[kinds[0]] += 7
    found = tool.standardized(train, test, kinds)
    for kind in (False, True):
        part = train[kinds[0] == kind]
        expected = (test[kinds[1] == kind] - part.mean(axis=0)) / part.std(axis=0)
        np.testing.assert_allclose(found[1].numpy()[kinds[1] == kind], expected, rtol=1e-3, atol=1e-3)


def test_the_network_learns_what_both_modalities_share(monkeypatch):
    """Here the second modality has the first one's numbers in another order, which its own layer can undo."""
    monkeypatch.setattr(tool, "BATCH", 64)
    draw = torch.Generator().manual_seed(0)
    targets = torch.arange(10).repeat(40)
    inputs = torch.randn(10, 12, generator=draw)[targets] + 0.1 * torch.randn(400, 12, generator=draw)
    infrared = torch.rand(400, generator=draw) < 0.5
    inputs[infrared] = inputs[infrared].flip(1)
    network = tool.train_network(inputs, infrared, targets, seed=0)
    with torch.no_grad():
        found = torch.nn.functional.normalize(network(inputs, infrared))
    nearest = (found[infrared] @ found[~infrared].T).argmax(dim=1)
    assert (targets[~infrared][nearest] == targets[infrared]).float().mean() > 0.95


def test_scores_are_those_of_the_protocol_and_of_plain_loops(tmp_path):
    make("sysu", tmp_path / "SYSU-MM01", identities=12, images=3)
    dataset = SYSUMM01(str(tmp_path), train_on="train")
    pids = np.array([item.pid for item in dataset.test])
    perfect = np.eye(int(pids.max()) + 1, dtype=np.float32)[pids]
    assert tool.across_modalities(dataset, perfect)["Rank-1"] == 100
    features = np.random.default_rng(0).normal(size=(len(pids), 8)).astype(np.float32)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    hits = []
    for i, query in enumerate(dataset.test):
        if query.camid in (3, 6) or query.path.endswith("0001.jpg"):
            continue
        gallery = [
            j
            for j, item in enumerate(dataset.test)
            if item.camid not in (3, 6, query.camid) and item.path.endswith("0001.jpg")
        ]
        best = max(gallery, key=lambda j: features[i] @ features[j])
        hits.append(pids[best] == query.pid)
    assert tool.within_visible(dataset, features)["Rank-1"] == pytest.approx(100 * np.mean(hits))
