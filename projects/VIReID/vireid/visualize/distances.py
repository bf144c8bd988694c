"""How far apart images of one person are, and images of two: histograms within and across modalities."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from vireid.errors import UserError
from vireid.modality import Modality
from vireid.visualize.image_set import ImageSet
from vireid.visualize.style import COLORS, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BINS = 80
VISIBLE, INFRARED = int(Modality.VISIBLE), int(Modality.INFRARED)
KINDS = {
    "visible - visible": (VISIBLE, VISIBLE),
    "infrared - infrared": (INFRARED, INFRARED),
    "visible - infrared": (VISIBLE, INFRARED),
}


@dataclass(frozen=True, eq=False)
class Pairs:
    """Cosine distances of pairs of two different images, each pair once.

    Attributes:
        matching: of one identity.
        others: of two identities.
    """

    matching: np.ndarray
    others: np.ndarray


def pair_distances(features: Tensor, pids: np.ndarray, modalities: np.ndarray) -> dict[str, Pairs]:
    """The pairs within each modality, and across them.

    Args:
        features: (N, D), L2-normalized.
        pids: (N,).
        modalities: (N,) of ``Modality``.

    Returns:
        Kind of KINDS -> its pairs: one minus the cosine, 0..2. Kinds without matching or without other pairs
        are left out.
    """
    found = {}
    for kind, (first, second) in KINDS.items():
        rows, columns = np.flatnonzero(modalities == first), np.flatnonzero(modalities == second)
        distances = (1 - features[rows] @ features[columns].T).numpy()
        same = pids[rows, None] == pids[None, columns]
        if first == second:
            each_once = np.triu(np.ones_like(same), k=1)
            pairs = Pairs(distances[same & each_once], distances[~same & each_once])
        else:
            pairs = Pairs(distances[same], distances[~same])
        if len(pairs.matching) and len(pairs.others):
            found[kind] = pairs
    return found


def equal_error_rate(matching: np.ndarray, others: np.ndarray) -> tuple[float, float]:
    """The error of the threshold that rejects the same share of matching pairs as it accepts of others.

    A pair is accepted where its distance is at most the threshold. Where no threshold makes the two shares
    equal, the one that makes them most alike counts, and the rate is their mean.

    Args:
        matching, others: (P,) and (Q,) distances, at least one each.

    Returns:
        The rate, 0..1, and the threshold, which is one of the distances.
    """
    matching, others = np.sort(matching), np.sort(others)
    thresholds = np.unique(np.concatenate([matching, others]))
    rejected = len(matching) - np.searchsorted(matching, thresholds, side="right")
    accepted = np.searchsorted(others, thresholds, side="right")
    # In whole numbers, so that rounding decides nothing.
    best = int(np.abs(rejected * len(others) - accepted * len(matching)).argmin())
    rate = (rejected[best] / len(matching) + accepted[best] / len(others)) / 2
    return float(rate), float(thresholds[best])


def distance_figure(images: ImageSet) -> tuple["Figure", str]:
    """Histograms of ``pair_distances``, one panel for each kind, with the equal error rate.

    Returns:
        The figure, and a line that says what it shows.

    Raises:
        UserError: no two images of one identity, or no two identities.
    """
    found = pair_distances(images.features, images.pids, images.modalities)
    if not found:
        raise UserError(f"{images.title}: no kind of pairs has both matching and other pairs")
    figure = new_figure(6.4, 0.4 + 1.7 * len(found))
    axes = figure.subplots(len(found), 1, sharex=True, squeeze=False)[:, 0]
    largest = max(float(values.max()) for pairs in found.values() for values in vars(pairs).values())
    edges = np.linspace(0, largest, BINS + 1)
    rates = []
    for axis, (kind, pairs) in zip(axes, found.items()):
        rate, threshold = equal_error_rate(pairs.matching, pairs.others)
        rates.append(f"{kind} {100 * rate:.1f}%")
        for values, label, color, hatch in (
            (pairs.others, "two persons", COLORS[1], ""),
            (pairs.matching, "one person", COLORS[0], "////"),
        ):
            shares = np.histogram(values, edges)[0] / len(values)
            axis.stairs(
                100 * shares,
                edges,
                fill=True,
                facecolor=(color, 0.45),
                edgecolor=color,
                hatch=hatch,
                label=f"{label} ({len(values):,} pairs)",
            )
        axis.axvline(threshold, color="black", linestyle="--", linewidth=1)
        axis.set_title(f"{kind}: equal error rate {100 * rate:.1f}%", loc="left")
        axis.set_ylabel("% of the pairs")
        axis.set_ylim(0, 1.35 * axis.get_ylim()[1])
        axis.legend(frameon=False, fontsize=8, loc="upper right")
    axes[-1].set_xlabel("cosine distance (dashed: the threshold of the equal error rate)")
    figure.suptitle(images.title, fontsize=9)
    return figure, f"{images.title}; equal error rates: {', '.join(rates)}"
