"""Pairs of a visible and an infrared image of one person, each beside where its embedding looks."""

from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn
from yacs.config import CfgNode

from vireid.data.build import build_test_loader
from vireid.data.datasets.base import ImageItem
from vireid.errors import UserError
from vireid.modality import Modality
from vireid.visualize.attention import look_maps
from vireid.visualize.image_set import chosen_images
from vireid.visualize.style import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BOTH = (Modality.VISIBLE, Modality.INFRARED)
WORDS = {
    "grad-cam": "Grad-CAM of the cosine of the two embeddings",
    "rollout": "attention rollout",
    "occlusion": "decrease of the cosine where a square is covered",
}


def attention_figure(
    cfg: CfgNode,
    model: nn.Module,
    subset: str = "test",
    *,
    identities: int = 4,
    pids: tuple[int, ...] = (),
    method: str = "auto",
    seed: int = 0,
) -> tuple["Figure", str]:
    """Draw a row for each identity; the images are drawn at random.

    Args:
        cfg, model, subset, pids, seed: see ``embedded_images``.
        identities: rows.
        method: see ``look_maps``.

    Returns:
        The figure, and a line that says what it shows.

    Raises:
        ConfigError: an identity that there is not, or a method that the backbone does not allow.
        UserError: no identity has images of both modalities.
    """
    title, items = chosen_images(cfg, subset, pids=pids)
    pairs = drawn_pairs(items, None if pids else identities, seed)
    if not pairs:
        raise UserError(f"{title}: none has both a visible and an infrared image")
    images = [visible for visible, _ in pairs] + [infrared for _, infrared in pairs]
    batches = list(build_test_loader(_in_one_batch(cfg, len(images)), images))
    heats, used = look_maps(model, batches[0], method)
    pixels = batches[0]["images"].permute(0, 2, 3, 1).numpy()
    height, width = pixels.shape[1:3]

    # Two identities stand side by side, in four columns each.
    lines, across = -(-len(pairs) // 2), min(2, len(pairs))
    figure = new_figure(1.1 * 4 * across, 0.5 + 1.1 * height / width * lines)
    axes = figure.subplots(lines, 4 * across, squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for number, (visible, _) in enumerate(pairs):
        line, side = divmod(number, across)
        for position, row in enumerate((number, len(pairs) + number)):
            place = axes[line, 4 * side + 2 * position : 4 * side + 2 * position + 2]
            _draw(place, pixels[row], heats[row].numpy())
        if line == 0:
            axes[0, 4 * side].set_title("visible", loc="left")
            axes[0, 4 * side + 2].set_title("infrared", loc="left")
        axes[line, 4 * side].text(2, height - 2, f"{visible.pid}", color="white", va="bottom", fontsize=8)
    figure.suptitle(f"{title.partition(':')[0]}: {WORDS[used]}", fontsize=9)
    return figure, f"{title.partition(':')[0]}, {WORDS[used]}: {len(pairs)} persons"


def drawn_pairs(items: list[ImageItem], count: int | None, seed: int) -> list[tuple[ImageItem, ImageItem]]:
    """A visible and an infrared image, drawn at random, of ``count`` identities with both; None: of all."""
    images: dict[int, dict[Modality, list[ImageItem]]] = {}
    for item in items:
        images.setdefault(item.pid, {}).setdefault(item.modality, []).append(item)
    complete = [pid for pid in sorted(images) if all(modality in images[pid] for modality in BOTH)]
    generator = np.random.default_rng(seed)
    chosen = complete if count is None else sorted(generator.permutation(complete)[:count].tolist())

    def one(pid: int, modality: Modality) -> ImageItem:
        some = images[pid][modality]
        return some[int(generator.integers(len(some)))]

    return [(one(pid, BOTH[0]), one(pid, BOTH[1])) for pid in chosen]


def _in_one_batch(cfg: CfgNode, count: int) -> CfgNode:
    cfg = cfg.clone()
    cfg.defrost()
    cfg.TEST.IMS_PER_BATCH = count
    return cfg


def _draw(axes: Any, image: np.ndarray, heat: np.ndarray) -> None:
    axes[0].imshow(image)
    # Brightness is the heat, so that it reads in gray as well.
    axes[1].imshow(image.mean(axis=2), cmap="gray", vmin=0, vmax=255)
    axes[1].imshow(heat, cmap="inferno", vmin=0, vmax=1, alpha=0.25 + 0.6 * heat)
    axes[1].contour(heat, levels=[0.5], colors="white", linewidths=0.8)
