"""Evaluating by tracks, and training on them, on a generated HITSZ-VCM and on a list."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from fastreid.modeling import build_model

from configs import tiny_config
from generated_data import make
from plain_evaluation import plain_features
from plain_ranking import plain_metrics
from training import train
from vireid.data import build_dataset
from vireid.engine.checks import check_config
from vireid.engine.evaluation import evaluate_dataset, extract_test_set
from vireid.errors import ConfigError
from vireid.evaluation import Trial, evaluate_settings

VCM = "VIReID/configs/vcm.yml"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """HITSZ-VCM of 6 identities with tracks of 13 frames."""
    folder = tmp_path_factory.mktemp("tracks")
    make("vcm", folder / "HITSZ-VCM", identities=6, images=13)
    return folder


@pytest.fixture
def vcm(root, monkeypatch):
    monkeypatch.setenv("FASTREID_DATASETS", str(root))
    return root


def plain_rows(cfg, model, dataset, frames):
    """Rank-1 and mAP of both directions, from the mean of the unit features of each track's frames."""
    features = plain_features(cfg, model, dataset.test)
    tracks = {}
    for position, item in enumerate(dataset.test):
        tracks.setdefault(item.track, []).append(position)
    means, labels = [], []
    for own in tracks.values():
        length = -(-len(own) // frames) if frames else 1
        chosen = [own[min(length * n, len(own) - 1)] for n in range(frames or len(own))]
        means.append(np.mean([features[position] for position in chosen], axis=0))
        labels.append(dataset.test[own[0]])
    unit = np.array([mean / np.linalg.norm(mean) for mean in means])
    rows = []
    for asked in (1, 0):
        query = [n for n, item in enumerate(labels) if item.modality == asked]
        gallery = [n for n, item in enumerate(labels) if item.modality != asked]
        own = [[labels[q][1:3] == labels[g][1:3] for g in gallery] for q in query]
        pids = np.array([item.pid for item in labels])
        dist = 1 - unit[query] @ unit[gallery].T
        cmc, mean_ap, _, _ = plain_metrics(dist, pids[query], pids[gallery], np.array(own))
        rows.append([100 * cmc[0], 100 * mean_ap])
    return rows


@pytest.mark.parametrize("frames", [6, 1, 0])
def test_a_track_is_scored_by_the_mean_of_its_frames(vcm, tmp_path, frames):
    torch.manual_seed(0)
    cfg = tiny_config(VCM, TEST__TRACK_FRAMES=frames)
    model, dataset = build_model(cfg).eval(), build_dataset(cfg, "HITSZVCM")
    saved = tmp_path / "features.npz"
    rows = evaluate_dataset(cfg, model, dataset, "HITSZVCM", save_features=saved)
    assert [row.name for row in rows] == ["infrared-to-visible", "visible-to-infrared"]
    found = [[row.result.mean["Rank-1"], row.result.mean["mAP"]] for row in rows]
    np.testing.assert_allclose(found, plain_rows(cfg, model, dataset, frames))
    kept = np.load(saved)  # of all frames, whatever a test takes
    assert len(kept["features"]) == len(dataset.test) and set(kept["tracks"]) == set(range(1, 25))
    alone = evaluate_dataset(cfg, model, dataset, "HITSZVCM")
    np.testing.assert_allclose([row.result.mean["mAP"] for row in alone], [row[1] for row in found])


def test_other_rows_work_by_tracks(vcm):
    overrides = {
        "TEST__RERANKER": "MSER",
        "TEST__MSER__K1": 5,
        "TEST__MSER__K2": 3,
        "TEST__MIXED_GALLERY": [25],
    }
    cfg = tiny_config(VCM, TEST__ROC__ENABLED=True, **overrides)
    torch.manual_seed(0)
    rows = evaluate_dataset(cfg, build_model(cfg).eval(), build_dataset(cfg, "HITSZVCM"), "HITSZVCM")
    assert {row.name for row in rows} == {
        f"{setting}{mixed}{ranked}"
        for setting, own in (("infrared-to-visible", "infrared"), ("visible-to-infrared", "visible"))
        for mixed in ("", f" with 25% {own}")
        for ranked in ("", " + MSER")
    }


SHAPES = {"SOLVER__IMS_PER_BATCH": 24, "DATALOADER__NUM_INSTANCE": 2, "DATALOADER__TRACK_FRAMES": 3}


@pytest.mark.parametrize(
    ("file", "mean"),
    [(VCM, True), (VCM, False), ("CAJ/configs/sysu.yml", True), ("DEEN/configs/sysu.yml", True)],
)
def test_a_training_on_tracks_moves_every_tensor(vcm, tmp_path, file, mean):
    """Also with several views of an image, and with an adapter that adds branches of it to the batch."""
    own = {"DATASETS__NAMES": ["HITSZVCM"], "DATASETS__TESTS": ["HITSZVCM"], "MODEL__TRACK_MEAN": mean}
    sampler = {"DATALOADER__SAMPLER_TRAIN": "TrackSampler", "DATALOADER__MAX_BATCHES_PER_EPOCH": 2}
    run = train(tmp_path / "run", file, **own, **sampler, **SHAPES)
    assert run.unmoved == []
    assert set(run.results["HITSZVCM"]) == {"infrared-to-visible", "visible-to-infrared"}


def test_the_losses_see_the_mean_of_the_feature_maps_of_a_track(vcm):
    cfg = tiny_config(VCM, **SHAPES)
    torch.manual_seed(0)
    model = build_model(cfg).train()
    batch = {
        "images": torch.randint(0, 256, (12, 3, 64, 32), dtype=torch.uint8),
        "targets": torch.arange(4).repeat_interleave(3),
        "camids": torch.zeros(12, dtype=torch.long),
        "modalities": torch.tensor([0] * 6 + [1] * 6),
    }
    seen = {}
    model.heads.register_forward_pre_hook(lambda _, args: seen.update(maps=args[0], targets=args[1]))
    model.backbone.register_forward_hook(lambda _, args, output: seen.update(frames=output))
    model.weighted_losses.register_forward_pre_hook(lambda _, args: seen.update(outputs=args[0]))
    model(batch)
    maps = [sum(seen["frames"][3 * track + frame] for frame in range(3)) / 3 for track in range(4)]
    torch.testing.assert_close(seen["maps"], torch.stack(maps))
    assert seen["targets"].tolist() == [0, 1, 2, 3]
    assert seen["outputs"]["modalities"].tolist() == [0, 0, 1, 1]
    assert tuple(seen["outputs"]["sizes"])[:2] == (2, 2)


def test_the_mean_of_tracks_needs_batches_of_tracks():
    for change, found in (
        ({"DATALOADER__SAMPLER_TRAIN": "CrossModalityIdentitySampler"}, "found CrossModalityIdentitySampler"),
        ({"MODEL__BATCH_TRANSFORMS": ["PatchMix"]}, r"MODEL.BATCH_TRANSFORMS \['PatchMix'\]"),
    ):
        with pytest.raises(ConfigError, match=f"MODEL.TRACK_MEAN True needs .*{found}"):
            check_config(tiny_config(VCM, **change))


def test_a_list_with_a_column_track_is_scored_by_tracks(vcm, tmp_path):
    """Its rows are those of HITSZ-VCM but for the camera, which a list does not leave out."""
    torch.manual_seed(0)
    cfg = tiny_config(VCM, DATASETS__LIST__FILE=str(tmp_path / "list.csv"), TEST__MIXED_GALLERY=[25])
    model, original = build_model(cfg).eval(), build_dataset(cfg, "HITSZVCM")
    with open(tmp_path / "list.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "identity", "camera", "modality", "subset", "track"])
        for item in original.test:
            name = Path(item.path)
            moved = tmp_path / f"{item.track:02d}" / f"{int(name.stem):03d}.jpg"  # in the order of the frames
            moved.parent.mkdir(exist_ok=True)
            moved.symlink_to(name)
            # Tracks of two cameras, modalities or persons may have the same name.
            writer.writerow([moved, item.pid, item.camid, item.modality.name, "test", f"T{item.track % 2}"])
    rows = evaluate_dataset(cfg, model, build_dataset(cfg, "List"), "List")
    first = original.settings()[0].trials[0]
    setting = replace(original.settings()[0], trials=(Trial(first.query, first.gallery),))
    extracted = extract_test_set(cfg, model, original, (setting,), None, "")
    expected = evaluate_settings(extracted.features["image"], extracted.pids, extracted.settings)
    assert rows[0].result.mean == pytest.approx(expected["infrared-to-visible"].mean)
    assert [len(row.setting.trials[0].gallery) for row in rows] == [12] * 4
