"""What tells persons apart within visible images, and what does and does not across modalities.

No network is trained: a gallery image is the nearest by a plain measure.
"""

import numpy as np
import pytest

from generated_data import make, pixels
from synthvi.conditions import PLAIN_CONDITIONS
from synthvi.recipe import SYNTHVI_1_0_CONDITIONS

IDENTITIES = 30
CHANCE = 1 / IDENTITIES


def images_under(conditions, folder):
    """Images (N, 64, 32, 3) float, identity and camera of each, of 30 identities."""
    report = make("sysu", folder, identities=IDENTITIES, images=2, seed=7, conditions=conditions)
    images = np.stack([pixels(folder / shot.path) for shot in report.plan.shots]).astype(np.float32)
    pids = np.array([shot.pid for shot in report.plan.shots])
    cameras = np.array([int(shot.camera[-1]) for shot in report.plan.shots])
    return images, pids, cameras


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return images_under(PLAIN_CONDITIONS, tmp_path_factory.mktemp("plain") / "SYSU-MM01")


@pytest.fixture(scope="module")
def benchmark_images(tmp_path_factory):
    return images_under(SYNTHVI_1_0_CONDITIONS, tmp_path_factory.mktemp("benchmark") / "SYSU-MM01")


@pytest.fixture(params=["plain", "benchmark_images"])
def dataset(request):
    """Images, identities and cameras under either conditions."""
    return request.getfixturevalue(request.param)


def rank1(features, pids, cameras, queries, gallery):
    """Share of the queries whose nearest gallery image, of another camera, is of the same person."""
    distance = np.linalg.norm(features[queries][:, None] - features[gallery][None], axis=2)
    distance[cameras[queries][:, None] == cameras[gallery][None]] = np.inf
    return float(np.mean(pids[gallery][distance.argmin(axis=1)] == pids[queries]))


def across_modalities(features, pids, cameras, cosine=False):
    """Rank-1 of infrared queries among visible images; each modality is centered on its own.

    Compared are standardized features, or their angles.
    """
    infrared = np.isin(cameras, (3, 6))
    features = features.astype(np.float64)
    for part in (infrared, ~infrared):  # what a modality has in common tells nobody apart
        features[part] -= features[part].mean(axis=0)
        features[part] = unit(features[part]) if cosine else features[part] / features[part].std(axis=0)
    return rank1(features, pids, cameras, np.flatnonzero(infrared), np.flatnonzero(~infrared))


def unit(features):
    """Rows of length one."""
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-9)


def gradients(images):
    """Histograms of gradient directions, weighted by strength, in cells of 4x4 pixels."""
    gray = images.mean(axis=3)
    down, across = np.gradient(gray, axis=(1, 2))
    strength = np.hypot(down, across)
    direction = (np.arctan2(down, across) % np.pi / np.pi * 6).astype(int) % 6
    cells = [(strength * (direction == k)).reshape(len(gray), 16, 4, 8, 4).sum(axis=(2, 4)) for k in range(6)]
    histogram = np.stack(cells, axis=-1)
    norm = np.maximum(np.linalg.norm(histogram, axis=3, keepdims=True), 1e-6)
    return (histogram / np.sqrt(norm)).reshape(len(gray), -1)


def test_mean_brightness_does_not_match_across_modalities(dataset):
    images, pids, cameras = dataset
    assert across_modalities(images.mean(axis=(1, 2, 3))[:, None], pids, cameras) < 3 * CHANCE


def test_mean_color_does_not_match_across_modalities(dataset):
    images, pids, cameras = dataset
    assert across_modalities(images.mean(axis=(1, 2)), pids, cameras) < 3 * CHANCE
    middle = images[:, 8:56, 8:24]  # mostly the person
    assert across_modalities(middle.mean(axis=(1, 2)), pids, cameras) < 3 * CHANCE


def test_coarse_brightness_tells_little_across_modalities(dataset):
    images, pids, cameras = dataset
    gray = images.mean(axis=3)
    coarse = gray.reshape(len(gray), 8, 8, 4, 8).mean(axis=(2, 4)).reshape(len(gray), -1)
    assert across_modalities(coarse - coarse.mean(axis=1, keepdims=True), pids, cameras, cosine=True) < 0.15


def test_shape_tells_something_across_modalities(plain, benchmark_images):
    rates = [
        across_modalities(gradients(images), pids, cameras, cosine=True)
        for images, pids, cameras in (plain, benchmark_images)
    ]
    assert rates[0] > 10 * CHANCE
    assert 3 * CHANCE < rates[1] < rates[0]  # harder than the plain conditions, and not hopeless


def test_color_tells_much_among_visible_images(plain, benchmark_images):
    rates = []
    for images, pids, cameras in (plain, benchmark_images):
        visible = np.flatnonzero(~np.isin(cameras, (3, 6)))
        levels = (images[visible][:, 8:56, 8:24] // 64).astype(int)
        bins = levels[..., 0] * 16 + levels[..., 1] * 4 + levels[..., 2]
        features = np.zeros((len(images), 3 * 64))
        for index, bin_map in zip(visible, bins):
            thirds = [np.bincount(third.ravel(), minlength=64) for third in np.split(bin_map, 3)]
            features[index] = np.sqrt(np.concatenate(thirds))
        rates.append(rank1(features, pids, cameras, visible, visible))
    assert rates[0] > 0.8
    assert 5 * CHANCE < rates[1] < rates[0]
