"""Tables of tracks, and models packed in half precision."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save

from vireid.engine.checkpoints.checkpoint import read_checkpoint


@pytest.fixture
def features(tmp_path):
    """Two cameras of each modality, 9 persons, tracks of 6 frames around their person's embedding."""
    rng = np.random.default_rng(0)
    rows = [
        (pid, camera, modality)
        for pid in range(9)
        for camera in (1, 2)
        for modality in (0, 1)
        for _ in range(6)
    ]
    pids, camids, modalities = map(np.array, zip(*rows))
    values = np.eye(12, dtype=np.float32)[pids] + 0.45 * rng.standard_normal((len(rows), 12)).astype(
        np.float32
    )
    file = tmp_path / "features.npz"
    tracks = np.arange(len(rows)) // 6
    np.savez(file, features=values, pids=pids, camids=camids, modalities=modalities, tracks=tracks)
    return file


def test_the_table_has_the_figures_of_means_and_best_pairs(run_tool, features, tmp_path):
    _, printed, _ = run_tool("track_table", features, "--images", 1, 6)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in printed.splitlines()[2:]]
    assert [row[:2] for row in rows] == [
        [name, number] for name in ("infrared-to-visible", "visible-to-infrared") for number in ("1", "6")
    ]
    assert len({*rows[0][2:]}) == 1  # of one image each, mean and best are the same
    saved = np.load(features)
    unit = saved["features"] / np.linalg.norm(saved["features"], axis=1, keepdims=True)
    means = unit.reshape(-1, 6, 12).mean(axis=1)
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    labels = [saved[name][::6] for name in ("pids", "camids", "modalities")]
    query, gallery = np.flatnonzero(labels[2] == 1), np.flatnonzero(labels[2] == 0)
    pairs = {(q, g): unit[6 * q : 6 * q + 6] @ unit[6 * g : 6 * g + 6].T for q in query for g in gallery}
    for column, scored in ((2, lambda q, g: means[q] @ means[g]), (3, lambda q, g: pairs[q, g].max())):
        right = 0
        for q in query:
            allowed = [g for g in gallery if any(label[q] != label[g] for label in labels[:2])]
            right += labels[0][max(allowed, key=lambda g: scored(q, g))] == labels[0][q]
        assert rows[1][column].split(" / ")[0] == f"{100 * right / len(query):.1f}"


def test_features_without_tracks_are_refused(run_tool, tmp_path, capsys):
    np.savez(tmp_path / "plain.npz", features=np.zeros((2, 3)), tracks=np.array([-1, -1]))
    with pytest.raises(SystemExit):
        run_tool("track_table", tmp_path / "plain.npz")
    assert "plain.npz holds no tracks; take the features of HITSZ-VCM" in capsys.readouterr().err


def test_a_packed_model_is_half_as_large_and_has_a_digest_of_its_own(run_tool, tmp_path, capsys):
    tensors = {"heads.weight": torch.randn(5, 300), "count": torch.tensor([3])}
    (tmp_path / "a.safetensors").write_bytes(save(tensors, metadata={"format": "pt", "epoch": "4"}))
    _, printed, _ = run_tool("pack_model", tmp_path / "a.safetensors", tmp_path / "b.safetensors")
    assert "b.safetensors: 0.00 MB, digest " in printed
    packed = load_file(tmp_path / "b.safetensors")
    assert torch.equal(packed["heads.weight"], tensors["heads.weight"].half()) and packed["count"] == 3
    assert read_checkpoint(str(tmp_path / "b.safetensors"))["epoch"] == 4
    tensors["heads.weight"][0, 0] = 1e6
    (tmp_path / "a.safetensors").write_bytes(save(tensors))
    with pytest.raises(SystemExit):
        run_tool("pack_model", tmp_path / "a.safetensors", tmp_path / "c.safetensors")
    assert (
        "too large for half precision" in capsys.readouterr().err
        and not (tmp_path / "c.safetensors").exists()
    )
