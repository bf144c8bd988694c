"""What a small network learns from the colors, the brightness or the gradients of the images alone.

A network with a first layer for each modality is trained on the training identities of SYSU-MM01 (or of
SynthVI, which has its layout) and scored on the test identities. It sees of each image a histogram of 32
levels of each channel, one of 32 levels of gray, or histograms of gradient directions in a grid, which tell
shape. Two controls: features drawn at random, and visible queries in a gallery of visible images by other
cameras.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tabulate import tabulate
from torch import Tensor, nn

from synthvi.ablation.statistics import mean_and_deviation
from synthvi.ablation.tool import exit_status, new_parser
from vireid.command_line import number_from
from vireid.data.datasets import SYSUMM01
from vireid.data.datasets.base import ImageItem
from vireid.evaluation import SYSUProtocol, rank_metrics
from vireid.modality import Modality
from vireid.runs.results import mean_and_spread

LEVELS = 32
HEIGHT, WIDTH = 64, 32  # of the images whose gradients are taken
ROWS, COLUMNS, DIRECTIONS = 16, 8, 6
EPOCHS, BATCH, RATE, HIDDEN, EMBEDDING = 30, 512, 2e-3, 256, 128


def color_histogram(image: Image.Image) -> np.ndarray:
    """Compute (96,) square roots of the shares of 32 levels of red, green and blue."""
    pixels = np.asarray(image).reshape(-1, 3) // (256 // LEVELS)
    return np.sqrt(np.concatenate([_shares(channel, LEVELS) for channel in pixels.T]))


def brightness_histogram(image: Image.Image) -> np.ndarray:
    """Compute (32,) square roots of the shares of 32 levels of gray."""
    return np.sqrt(_shares(np.asarray(image.convert("L")).ravel() // (256 // LEVELS), LEVELS))


def gradient_histograms(image: Image.Image) -> np.ndarray:
    """Compute (16 * 8 * 6,) histograms of gradient directions, by strength, in cells of 4x4 pixels."""
    gray = np.asarray(image.convert("L").resize((WIDTH, HEIGHT)), np.float64)
    down, across = np.gradient(gray)
    direction = (np.arctan2(down, across) % np.pi / np.pi * DIRECTIONS).astype(int) % DIRECTIONS
    strength = np.hypot(down, across) * (direction == np.arange(DIRECTIONS)[:, None, None])
    cells = strength.reshape(DIRECTIONS, ROWS, HEIGHT // ROWS, COLUMNS, WIDTH // COLUMNS).sum(axis=(2, 4))
    return np.sqrt(cells / np.maximum(np.linalg.norm(cells, axis=0), 1e-6)).ravel()


def _shares(levels: np.ndarray, count: int) -> np.ndarray:
    return np.bincount(levels, minlength=count) / len(levels)


DESCRIPTORS: dict[str, Callable[[Image.Image], np.ndarray]] = {
    "color": color_histogram,
    "brightness": brightness_histogram,
    "gradients": gradient_histograms,
}


class Network(nn.Module):
    """A layer for each modality, then shared ones: an embedding and a classifier."""

    def __init__(self, inputs: int, identities: int) -> None:
        super().__init__()
        self.first = nn.ModuleList(nn.Linear(inputs, HIDDEN) for _ in range(2))
        self.shared = nn.Sequential(
            nn.BatchNorm1d(HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, EMBEDDING), nn.BatchNorm1d(EMBEDDING)
        )
        self.classifier = nn.Linear(EMBEDDING, identities, bias=False)

    def forward(self, inputs: Tensor, infrared: Tensor) -> Tensor:
        """(N, EMBEDDING) of (N, D) descriptors; ``infrared``: (N,) bool."""
        of_each = self.first[0](inputs), self.first[1](inputs)
        return self.shared(torch.where(infrared[:, None], of_each[1], of_each[0]))


def train_network(inputs: Tensor, infrared: Tensor, targets: Tensor, seed: int) -> Network:
    """Train a network to tell the identities apart.

    Args:
        inputs: (N, D) float32.
        infrared: (N,) bool.
        targets: (N,) class numbers from 0.
        seed: of the weights and of the order of the images.
    """
    torch.manual_seed(seed)
    network = Network(inputs.shape[1], int(targets.max()) + 1)
    optimizer = torch.optim.AdamW(network.parameters(), RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(inputs)).split(BATCH):
            if len(rows) < 2:  # batch norm needs two
                continue
            logits = network.classifier(network(inputs[rows], infrared[rows]))
            loss = nn.functional.cross_entropy(logits, targets[rows], label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
    return network.eval()


def standardized(train: np.ndarray, test: np.ndarray, infrared: Sequence[np.ndarray]) -> list[Tensor]:
    """Bring both sets to mean 0 and deviation 1 in each modality, by the training images."""
    both = [train.astype(np.float32), test.astype(np.float32)]
    for kind in (False, True):
        part = both[0][infrared[0] == kind]
        mean, deviation = part.mean(axis=0), part.std(axis=0) + 1e-6
        for values, modality in zip(both, infrared):
            values[modality == kind] = (values[modality == kind] - mean) / deviation
    return [torch.from_numpy(values) for values in both]


def across_modalities(dataset: SYSUMM01, features: np.ndarray) -> dict[str, float]:
    """Score infrared queries among visible images, all-search single-shot: Rank-1 and mAP in percent."""
    protocol = SYSUProtocol(dataset.permutations, search="all", shots=1)
    pids, camids, numbers = _columns(dataset.test)
    return protocol.evaluate(features, pids, camids, numbers).mean


def within_visible(dataset: SYSUMM01, features: np.ndarray) -> dict[str, float]:
    """Score visible queries among the first image of each identity by each visible camera, without those of
    the query's own camera: Rank-1 and mAP in percent."""
    pids, camids, numbers = _columns(dataset.test)
    visible = ~_infrared(dataset.test)
    query, gallery = np.flatnonzero(visible & (numbers > 1)), np.flatnonzero(visible & (numbers == 1))
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    same_camera = camids[query][:, None] == camids[gallery][None]
    found = rank_metrics(
        1 - unit[query] @ unit[gallery].T, pids[query], pids[gallery], exclude=same_camera, unique_pids=True
    )
    return {"Rank-1": 100 * float(found.cmc[0]), "mAP": 100 * found.mAP}


def _columns(items: Sequence[ImageItem]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """List identities, cameras and numbers."""
    pids, camids = (np.array([getattr(item, name) for item in items]) for name in ("pid", "camid"))
    return pids, camids, np.array([int(Path(item.path).stem) for item in items])


def _infrared(items: Sequence[ImageItem]) -> np.ndarray:
    return np.array([item.modality == Modality.INFRARED for item in items])


def scored(dataset: SYSUMM01, seeds: int) -> list[tuple[str, list[dict[str, float]], list[dict[str, float]]]]:
    """Score each descriptor, and features drawn at random: its name, and across modalities and within visible
    images the figures of each seed."""
    described: dict[str, list[np.ndarray]] = {name: [] for name in DESCRIPTORS}
    for items in (dataset.train, dataset.test):
        found: dict[str, list[np.ndarray]] = {name: [] for name in DESCRIPTORS}
        for item in items:
            with Image.open(item.path) as file:
                image = file.convert("RGB")
            for name, describe in DESCRIPTORS.items():
                found[name].append(describe(image))
        for name, values in found.items():
            described[name].append(np.stack(values))
    infrared = [_infrared(items) for items in (dataset.train, dataset.test)]
    targets = torch.from_numpy(np.unique([item.pid for item in dataset.train], return_inverse=True)[1])
    rows = []
    for name, (train, test) in described.items():
        inputs = standardized(train, test, infrared)
        features = []
        for seed in range(seeds):
            network = train_network(inputs[0], torch.from_numpy(infrared[0]), targets, seed)
            with torch.no_grad():
                features.append(network(inputs[1], torch.from_numpy(infrared[1])).numpy())
        rows.append((name, features))
    drawn = np.random.default_rng(0).normal(size=(seeds, len(dataset.test), EMBEDDING))
    rows.append(("chance: features drawn at random", list(drawn.astype(np.float32))))
    return [
        (
            name,
            [across_modalities(dataset, f) for f in features],
            [within_visible(dataset, f) for f in features],
        )
        for name, features in rows
    ]


def main() -> int:
    """Train, score, print; the exit status."""
    parser = new_parser(__doc__)
    parser.add_argument(
        "--seeds", type=number_from(1), default=3, metavar="N", help="networks of each kind: 3"
    )
    args = parser.parse_args()
    return exit_status(lambda: print_table(args.seeds))


def print_table(seeds: int) -> int:
    """See ``main``."""
    rows = scored(SYSUMM01(os.environ.get("FASTREID_DATASETS", "datasets"), train_on="train"), seeds)
    headers = ["what the network sees", "Rank-1", "mAP", "Rank-1, visible to visible", "mAP"]
    lines = []
    for name, *both in rows:
        columns = [[found[key] for found in figures] for figures in both for key in ("Rank-1", "mAP")]
        lines.append([name, *(mean_and_spread(*mean_and_deviation(column), 1) for column in columns)])
    print(tabulate(lines, headers=headers, tablefmt="pipe", disable_numparse=True))
    return 0
