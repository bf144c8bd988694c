"""Where an embedding looks: by Grad-CAM, by attention rollout, and by covering parts of the image."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from vireid.errors import ConfigError
from vireid.modeling.modes import evaluation_mode
from vireid.visualize.cells import Centers, cell_centers, enlarged

METHODS = ("auto", "grad-cam", "rollout", "occlusion")


def look_maps(model: nn.Module, batch: dict[str, Any], method: str = "auto") -> tuple[Tensor, str]:
    """Maps of where the embeddings of pairs look.

    Args:
        model: the meta-architecture.
        batch: images and modalities of B visible images, then of the B infrared images of the same persons.
        method: "grad-cam"; "rollout"; "occlusion"; or "auto": rollout where every block attends to all
            tokens, else Grad-CAM.

    Returns:
        (2B, H, W) float32, as large as the images, from 0 to 1, the largest value of each map 1; and the
        method that was used.

    Raises:
        ConfigError: a method that the backbone does not allow.
    """
    if method == "auto":
        method = "rollout" if _attentions(model, batch) else "grad-cam"
    if method == "occlusion":
        maps, centers = occlusion_maps(model, batch)
    else:
        maps = rollout_maps(model, batch) if method == "rollout" else grad_cam(model, batch)
        centers = cell_centers(model, batch, (maps.shape[1], maps.shape[2]))
    height, width = batch["images"].shape[2:]
    heats = enlarged(maps, (height, width), centers).clamp_min(0)
    return heats / heats.amax(dim=(1, 2), keepdim=True).clamp_min(1e-12), method


def grad_cam(model: nn.Module, batch: dict[str, Any]) -> Tensor:
    """Which places of the last feature map make the embeddings of a pair alike.

    The score of a pair is the cosine of its two embeddings, whose lengths are held. (The cosine does not
    change where a whole map grows: its full gradient would cancel what all places have in common.) A
    channel's weight is the mean, over the places, of the score's gradient with respect to it; a map is the
    positive part of the weighted sum of channels.

    Args:
        model, batch: see ``look_maps``.

    Returns:
        (2B, h, w) float32, not negative.

    Raises:
        ConfigError: a backbone that gives one vector an image.

    Source: Selvaraju et al., ICCV 2017, equations 1 and 2, with a cosine for the score of a class.
    """
    kept: list[Tensor] = []

    def keep(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        kept.append(output.detach().requires_grad_())
        return kept[-1]

    backbone: Any = model.backbone
    hook = backbone.register_forward_hook(keep)
    try:
        with evaluation_mode(model), torch.enable_grad():
            embeddings = model(batch)
    finally:
        hook.remove()
    features = kept[0]
    if features.ndim < 4 or features.shape[2:].numel() == 1:
        raise ConfigError("grad-cam: the backbone gives one vector an image, and no map; use rollout")
    visible, infrared = embeddings.float().chunk(2)
    lengths = (visible.norm(dim=1) * infrared.norm(dim=1)).clamp_min(1e-12).detach()
    (gradient,) = torch.autograd.grad(((visible * infrared).sum(dim=1) / lengths).sum(), features)
    weights = gradient.mean(dim=(2, 3), keepdim=True)
    maps = (
        (weights * features).sum(dim=1).unflatten(0, (-1, len(embeddings))).sum(dim=0)
    )  # over an image's branches
    return maps.relu().detach().float().cpu()


@torch.no_grad()
def occlusion_maps(model: nn.Module, batch: dict[str, Any]) -> tuple[Tensor, Centers]:
    """How much less alike a pair is where a square of one image is covered by the image's mean color.

    The squares are a quarter of the image's shorter side, and half of one apart. A square is covered in one
    image of the pair at a time.

    Args:
        model, batch: see ``look_maps``.

    Returns:
        (2B, rows, columns) float32, the decrease of the cosine, which may be negative; and where the centers
        of the squares are, see ``vireid.visualize.cells``.

    Source: Zeiler and Fergus, ECCV 2014, section 4.2, with a cosine for the score of a class.
    """
    images = batch["images"]
    height, width = images.shape[2:]
    side = max(2, min(height, width) // 4)
    step = side // 2
    color = images.float().mean(dim=(2, 3), keepdim=True).to(images.dtype)
    rows, columns = (range(0, size - side + 1, step) for size in (height, width))
    decrease = torch.zeros(len(images), len(rows), len(columns))
    with evaluation_mode(model):
        whole = model(batch).float()
        partners = whole.roll(len(images) // 2, dims=0)
        alike = cosine_similarity(whole, partners)
        for i, top in enumerate(rows):
            for j, left in enumerate(columns):
                covered = images.clone()
                covered[:, :, top : top + side, left : left + side] = color
                found = model({**batch, "images": covered}).float()
                decrease[:, i, j] = (alike - cosine_similarity(found, partners)).cpu()
    return decrease, [((side - 1) / 2, float(step))] * 2


def rollout_maps(model: nn.Module, batch: dict[str, Any]) -> Tensor:
    """How much each patch adds, through all blocks, to the tokens of which the embedding is made.

    These are the class token, or the mean of the patch tokens where the backbone gives a map of them.

    Args:
        model, batch: see ``look_maps``.

    Returns:
        (2B, rows, columns) float32.

    Raises:
        ConfigError: a backbone without attention over all tokens.
    """
    layers = _attentions(model, batch)
    if not layers:
        raise ConfigError(
            "rollout: the backbone has no blocks in which all tokens attend to each other; use grad-cam"
        )
    rollout = attention_rollout(layers)
    rows, columns, pooled = _grid(model, batch)
    others = rollout.shape[1] - rows * columns  # class and register tokens, which come first
    sources = rollout[:, others:].mean(dim=1) if pooled else rollout[:, 0]
    return sources[:, others:].reshape(-1, rows, columns).cpu()


def attention_rollout(layers: Sequence[Tensor]) -> Tensor:
    """What reaches each token of the last block from each of the first, skip connections counted.

    Args:
        layers: of each block, first block first: (N, heads, T, T) attention, whose rows sum to 1.

    Returns:
        (N, T, T) float32, whose rows sum to 1.

    Source: Abnar and Zuidema, ACL 2020, section 3.
    """
    identity = torch.eye(layers[0].shape[-1], device=layers[0].device)
    rollout = identity.expand(len(layers[0]), -1, -1)
    for attention in layers:
        rollout = (attention.float().mean(dim=1) + identity) / 2 @ rollout
    return rollout


@torch.no_grad()
def _attentions(model: nn.Module, batch: dict[str, Any]) -> list[Tensor]:
    """The attention of each block; empty where a block has none over all tokens of an image."""
    # The toolkit's blocks and timm's give their attention to a dropout of this name.
    blocks: list[Any] = [module for module in model.modules() if hasattr(module, "attn_drop")]
    found: list[Tensor] = []
    with ExitStack() as stack:
        for block in blocks:
            stack.enter_context(_unfused(block))
            handle = block.attn_drop.register_forward_hook(
                lambda module, inputs, output: found.append(inputs[0].detach())
            )
            stack.callback(handle.remove)
        stack.enter_context(evaluation_mode(model))
        model(batch)
    count = len(batch["images"])
    whole = all(a.ndim == 4 and len(a) == count and a.shape[2:] == found[0].shape[2:] for a in found)
    return found if whole and len(found) == len(blocks) else []


@contextmanager
def _unfused(block: Any) -> Iterator[None]:
    """Have one of timm's blocks compute its attention in steps, of which the dropout is one."""
    fused = getattr(block, "fused_attn", None)
    if fused is not None:
        block.fused_attn = False
    try:
        yield
    finally:
        if fused is not None:
            block.fused_attn = fused


@torch.no_grad()
def _grid(model: nn.Module, batch: dict[str, Any]) -> tuple[int, int, bool]:
    """Rows and columns of patches, and whether the backbone gives a map of them."""
    shapes: list[torch.Size] = []
    backbone: Any = model.backbone
    hook = backbone.register_forward_hook(lambda module, inputs, output: shapes.append(output.shape))
    try:
        with evaluation_mode(model):
            model(batch)
    finally:
        hook.remove()
    if len(shapes[0]) == 4 and shapes[0][2] * shapes[0][3] > 1:
        return shapes[0][2], shapes[0][3], True
    # Of two streams, each has a patch embedding of its own; their grids are the same.
    patches: Any = next(module for module in backbone.modules() if hasattr(module, "num_y"))
    return patches.num_y, patches.num_x, False
