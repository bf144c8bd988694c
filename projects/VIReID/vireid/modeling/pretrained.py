"""Pretrained weights of the toolkit's backbones: from a file, or where the toolkit downloads them."""

import logging
import math
import os
import socket
import sys
from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch
from fastreid.modeling.backbones import BACKBONE_REGISTRY
from fastreid.modeling.backbones.vision_transformer import VisionTransformer, resize_pos_embed
from torch import Tensor, nn
from yacs.config import CfgNode

from vireid.errors import ConfigError
from vireid.meeting import first_of_machine, meet
from vireid.modeling.families import family_of
from vireid.modeling.weight_files import read_state_dict

logger = logging.getLogger("fastreid.vireid.pretrained")


def load_pretrained(backbone: nn.Module, cfg: CfgNode) -> None:
    """Load MODEL.BACKBONE.PRETRAIN_PATH, or the toolkit's weights for this backbone, into it.

    Raises:
        CheckpointError: no such file, or not a checkpoint of tensors.
        ConfigError: no download, or nothing in the file fits.
    """
    path = cfg.MODEL.BACKBONE.PRETRAIN_PATH
    path = path or str(_download(cfg))
    weights = read_state_dict(path, "MODEL.BACKBONE.PRETRAIN_PATH")
    refuse_two_streams(weights, path)
    own = backbone.state_dict()
    fitting = _fitting(with_resized_positions(weights, backbone), own)
    trained = [name for name in fitting if not name.endswith("num_batches_tracked")]
    if not trained:
        raise ConfigError(
            f"nothing in {path} fits {cfg.MODEL.BACKBONE.NAME} {cfg.MODEL.BACKBONE.DEPTH}: "
            f"it holds {', '.join(list(weights)[:3])}, ..., the model {', '.join(list(own)[:3])}, ..."
        )
    backbone.load_state_dict(fitting, strict=False)
    fresh = sorted(name for name in own if name not in fitting and not name.endswith("num_batches_tracked"))
    unused = [name for name in weights if not any(name.endswith(taken) for taken in fitting)]
    level = logging.WARNING if len(fresh) > len(trained) else logging.INFO  # weights of another variant?
    logger.log(
        level,
        f"Pretrained weights from {path}: {len(trained)} tensors; "
        + (f"{len(fresh)} start from scratch: {', '.join(fresh[:8])}" if fresh else "all of the backbone")
        + (f"; {len(unused)} of the file are not taken: {', '.join(unused[:8])}" if unused else ""),
    )


def refuse_two_streams(weights: Any, path: str) -> None:
    """Refuse weights whose stem has a copy for each modality, of which a backbone would take none.

    Args:
        weights: of a file, by name.
        path: MODEL.BACKBONE.PRETRAIN_PATH.

    Raises:
        ConfigError: names such a module, and the key that takes both copies.
    """
    split = [name for name in weights if ".visible." in name] if isinstance(weights, dict) else []
    if any(name.replace(".visible.", ".infrared.") in weights for name in split):
        module = split[0].partition(".visible.")[0]
        raise ConfigError(
            f"MODEL.BACKBONE.PRETRAIN_PATH {path} is a two-stream checkpoint of this project: {module} has a "
            "copy for each modality. To start from it, set MODEL.WEIGHTS to it instead, with "
            "MODEL.WEIGHTS_STRICT False where it was trained on another dataset"
        )


def with_resized_positions(weights: dict[str, Tensor], backbone: nn.Module) -> dict[str, Tensor]:
    """The weights with a vision transformer's position embeddings, of square images, resized to the grid
    of ``backbone``; other weights as they are. Of a distilled DeiT, the second token's is left out."""
    if not isinstance(backbone, VisionTransformer):
        return weights
    own, grid = backbone.pos_embed, backbone.patch_embed
    resized = dict(weights)
    for name, positions in weights.items():
        if name.split(".")[-1] != "pos_embed" or positions.shape == own.shape:
            continue
        count = positions.shape[1] if positions.ndim == 3 else 0
        tokens = next((n for n in (1, 2) if n < count and math.isqrt(count - n) ** 2 == count - n), None)
        if tokens is not None:
            square = torch.cat([positions[:, :1], positions[:, tokens:]], dim=1)
            resized[name] = resize_pos_embed(square, own, grid.num_y, grid.num_x)
    return resized


def _fitting(weights: dict[str, Tensor], own: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights that fit in name and shape, under whichever prefix ("module.encoder.") most do."""
    best: dict[str, Tensor] = {}
    for depth in range(3):
        fitting = {}
        for name, tensor in weights.items():
            short = name.split(".", depth)[-1] if name.count(".") >= depth else name
            if isinstance(tensor, Tensor) and short in own and own[short].shape == tensor.shape:
                fitting[short] = tensor
        if len(fitting) > len(best):
            best = fitting
    return best


def _download(cfg: CfgNode) -> Path:
    name = cfg.MODEL.BACKBONE.NAME
    url = pretrained_url(cfg)
    if url is None:
        raise ConfigError(
            f"MODEL.BACKBONE.PRETRAIN: FastReID has no weights to download for {name} "
            f"{cfg.MODEL.BACKBONE.DEPTH}; set MODEL.BACKBONE.PRETRAIN_PATH to a file, or PRETRAIN False"
        )
    folder = Path(os.environ.get("TORCH_HOME", Path.home() / ".cache" / "torch")) / "checkpoints"
    if "drive.google.com" in url:
        target = folder / f"{weights_key(cfg)}_imagenet.pth"  # the toolkit puts it there, too
        by_hand = "Google Drive wants a browser"
    else:
        target, by_hand = folder / url.split("/")[-1], ""
    fault = ""
    if first_of_machine() and not target.is_file():
        fault = by_hand or _fault_of_download(url, target)
    fault = next(filter(None, meet(fault)), "")
    if fault:
        raise ConfigError(
            f"cannot download the pretrained weights of {name} ({fault}); get {url} and save it as {target}, "
            "or set MODEL.BACKBONE.PRETRAIN_PATH, or PRETRAIN False"
        )
    return target


def _fault_of_download(url: str, target: Path) -> str:
    """Download a file; why that failed, on which machine, or "" where it did not."""
    logger.info(f"Downloading {url} to {target}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(target))
    except (URLError, OSError) as error:
        return f"{error} on {socket.gethostname()}"
    return ""


def pretrained_url(cfg: CfgNode) -> str | None:
    """Where the toolkit has the weights of this backbone and DEPTH; None where it has none."""
    urls = getattr(sys.modules[BACKBONE_REGISTRY.get(cfg.MODEL.BACKBONE.NAME).__module__], "model_urls", {})
    return urls.get(weights_key(cfg))


def weights_key(cfg: CfgNode) -> str:
    """The variant that MODEL.BACKBONE names, as the toolkit's ``model_urls`` name it."""
    return family_of(cfg.MODEL.BACKBONE.NAME).weights_key(cfg.MODEL.BACKBONE)
