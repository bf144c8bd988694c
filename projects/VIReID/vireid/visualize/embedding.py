"""A map of embeddings: colors and numbers are identities, shapes are modalities."""

from typing import TYPE_CHECKING

import numpy as np

from vireid.errors import UserError
from vireid.modality import Modality
from vireid.visualize.image_set import ImageSet
from vireid.visualize.style import COLORS, MARKERS, new_figure, require

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METHODS = ("t-SNE", "UMAP")
FEWEST = 4  # images of which a map can be made


def project(features: np.ndarray, method: str = "t-SNE", seed: int = 0) -> np.ndarray:
    """Places of embeddings in a plane, near where their cosine is large.

    Args:
        features: (N, D) float32, L2-normalized; N >= 4.
        method: one of METHODS: scikit-learn's t-SNE with perplexity 30 (less where N is below 100), or
            umap-learn's UMAP with 15 neighbours.
        seed: the same seed gives the same map on the same machine.

    Returns:
        (N, 2) float32.

    Raises:
        ConfigError: umap-learn is not installed.
    """
    count = len(features)
    if method == "UMAP":
        reducer = require("umap").UMAP(
            n_neighbors=min(15, count - 1),
            metric="cosine",
            random_state=seed,
            n_jobs=1,
            init="random" if count < 10 else "spectral",
        )
    else:
        manifold = require("sklearn.manifold")
        reducer = manifold.TSNE(
            perplexity=min(30, (count - 1) / 3), metric="cosine", init="pca", random_state=seed
        )
    return np.asarray(reducer.fit_transform(features), np.float32)


def embedding_figure(images: ImageSet, method: str = "t-SNE", seed: int = 0) -> tuple["Figure", str]:
    """Draw a map of the images.

    Returns:
        The figure, and a line that says what it shows.

    Raises:
        UserError: too few images.
    """
    if len(images.items) < FEWEST:
        raise UserError(f"{images.title}: {len(images.items)} images; a map needs at least {FEWEST}")
    places = project(images.features.numpy(), method, seed)
    figure = new_figure(6.4, 5.4)
    axis = figure.subplots()
    pids, modalities = images.pids, images.modalities
    for number, pid in enumerate(np.unique(pids)):
        for modality in (Modality.VISIBLE, Modality.INFRARED):
            shown = (pids == pid) & (modalities == int(modality))
            infrared = modality == Modality.INFRARED
            color = COLORS[number % len(COLORS)]
            axis.scatter(
                *places[shown].T,
                s=26,
                marker=MARKERS[modality.name.lower()],
                facecolor=color if infrared else "white",
                edgecolor="black" if infrared else color,
                linewidth=0.5 if infrared else 1.4,
            )
    for pid in np.unique(pids):
        for modality in np.unique(modalities[pids == pid]):
            _number(axis, places[(pids == pid) & (modalities == modality)], str(pid))
    for name, marker in MARKERS.items():
        filled = name == "infrared"
        axis.scatter([], [], marker=marker, c="gray" if filled else "white", edgecolor="gray", label=name)
    axis.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    axis.set(xticks=[], yticks=[], title=f"{images.title}\n{method} of the cosine distances")
    axis.spines[:].set_visible(True)
    return figure, f"{images.title}, {len(images.items)} images by {method}"


def _number(axis: object, places: np.ndarray, text: str) -> None:
    """Write an identity's number at its most central image."""
    from matplotlib.patheffects import withStroke

    middle = places[np.abs(places - np.median(places, axis=0)).sum(axis=1).argmin()]
    axis.annotate(  # type: ignore[attr-defined]
        text,
        middle,
        xytext=(4, 4),
        textcoords="offset points",
        fontsize=7,
        path_effects=[withStroke(linewidth=2, foreground="white")],
    )
