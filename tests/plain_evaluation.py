"""The figures of a model on a test set, one image and one trial after the other."""

from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

from plain_ranking import plain_metrics

METRICS = ("Rank-1", "Rank-5", "Rank-10", "Rank-20", "mAP", "mINP")


@torch.no_grad()
def plain_features(cfg: Any, model: Any, items: Any) -> np.ndarray:
    """(N, D) float64, L2-normalized."""
    height, width = cfg.INPUT.SIZE_TEST
    resampling = Image.Resampling[cfg.INPUT.INTERPOLATION.upper()]
    rows = []
    for item in items:
        with Image.open(item.path) as image:
            pixels = np.asarray(image.convert("RGB").resize((width, height), resampling))
        images = torch.from_numpy(pixels.transpose(2, 0, 1)[None].copy())
        batch = {"images": images, "modalities": torch.tensor([int(item.modality)])}
        rows.append(F.normalize(model.eval()(batch).double())[0])
    return torch.stack(rows).numpy()


def plain_figures(cfg: Any, model: Any, dataset: Any) -> dict[str, np.ndarray]:
    """Setting -> (trials, 6) METRICS in percent."""
    features, pids = plain_features(cfg, model, dataset.test), np.array([item.pid for item in dataset.test])
    figures = {}
    for setting in dataset.settings(cfg.DATASETS.TRIALS):
        rows = []
        for trial in setting.trials:
            query, gallery = trial.query, trial.gallery
            dist = 1 - features[query] @ features[gallery].T
            cmc, mean_ap, mean_inp, _ = plain_metrics(
                dist, pids[query], pids[gallery], trial.exclude(), setting.unique_pids
            )
            rows.append([100 * value for value in (*cmc[[0, 4, 9, 19]], mean_ap, mean_inp)])
        figures[setting.name] = np.array(rows)
    return figures
