"""What tells persons apart within visible images, and what does not across modalities."""

import numpy as np
import pytest

from generated_data import make, pixels


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """30 identities: images (N, H, W, 3) float, identity and camera of each."""
    folder = tmp_path_factory.mktemp("data") / "SYSU-MM01"
    report = make("sysu", folder, identities=30, images=2, seed=7)
    images = np.stack([pixels(folder / shot.path) for shot in report.plan.shots]).astype(np.float32)
    pids = np.array([shot.pid for shot in report.plan.shots])
    cameras = np.array([int(shot.camera[-1]) for shot in report.plan.shots])
    return images, pids, cameras


def rank1(features, pids, cameras, queries, gallery):
    """Share of the queries whose nearest gallery image, of another camera, is of the same person."""
    query, target = (
        features[i] / np.linalg.norm(features[i], axis=1, keepdims=True) for i in (queries, gallery)
    )
    similarity = query @ target.T
    similarity[cameras[queries][:, None] == cameras[gallery][None]] = -2
    return float(np.mean(pids[gallery][similarity.argmax(axis=1)] == pids[queries]))


def test_brightness_tells_little_across_modalities(small):
    images, pids, cameras = small
    gray = images.mean(axis=3)
    coarse = gray.reshape(len(gray), 8, 8, 4, 8).mean(axis=(2, 4)).reshape(len(gray), -1)
    coarse = coarse - coarse.mean(axis=1, keepdims=True)
    infrared = np.isin(cameras, (3, 6))
    for part in (infrared, ~infrared):  # what a modality has in common tells nobody apart
        coarse[part] -= coarse[part].mean(axis=0)
    rate = rank1(coarse, pids, cameras, np.flatnonzero(infrared), np.flatnonzero(~infrared))
    assert rate < 0.15  # chance is 1 / 30


def test_color_tells_much_among_visible_images(small):
    images, pids, cameras = small
    visible = np.flatnonzero(~np.isin(cameras, (3, 6)))
    levels = (images[visible][:, 8:56, 8:24] // 64).astype(int)
    bins = levels[..., 0] * 16 + levels[..., 1] * 4 + levels[..., 2]
    features = np.zeros((len(images), 3 * 64))
    for index, bin_map in zip(visible, bins):
        thirds = [np.bincount(third.ravel(), minlength=64) for third in np.split(bin_map, 3)]
        features[index] = np.sqrt(np.concatenate(thirds))
    rate = rank1(features, pids, cameras, visible, visible)
    assert rate > 0.8
