"""Pretrained weights of the toolkit's backbones: from a file, or where the toolkit downloads them."""

import logging
import os
import sys
from pathlib import Path
from urllib.error import URLError

import torch
from fastreid.modeling.backbones import BACKBONE_REGISTRY
from fastreid.utils import comm
from torch import Tensor, nn
from yacs.config import CfgNode

from vireid.errors import ConfigError
from vireid.weights import read_tensors

logger = logging.getLogger("fastreid.vireid.pretrained")

# Keys under which published checkpoints hold their state dict.
WRAPPERS = ("model_state", "state_dict", "model")


def load_pretrained(backbone: nn.Module, cfg: CfgNode) -> None:
    """Load MODEL.BACKBONE.PRETRAIN_PATH, or the toolkit's weights for this backbone, into it.

    Raises:
        CheckpointError: no such file, or not a checkpoint of tensors.
        ConfigError: no download, or nothing in the file fits.
    """
    path = cfg.MODEL.BACKBONE.PRETRAIN_PATH
    path = path or str(_download(cfg))
    weights = read_tensors(path, "MODEL.BACKBONE.PRETRAIN_PATH")
    while isinstance(weights, dict) and (wrapper := next((w for w in WRAPPERS if w in weights), None)):
        weights = weights[wrapper]
    own = backbone.state_dict()
    fitting = _fitting(weights, own)
    trained = [name for name in fitting if not name.endswith("num_batches_tracked")]
    if not trained:
        raise ConfigError(
            f"nothing in {path} fits {cfg.MODEL.BACKBONE.NAME} {cfg.MODEL.BACKBONE.DEPTH}: "
            f"it holds {', '.join(list(weights)[:3])}, ..., the model {', '.join(list(own)[:3])}, ..."
        )
    backbone.load_state_dict(fitting, strict=False)
    fresh = sorted(name for name in own if name not in fitting and not name.endswith("num_batches_tracked"))
    logger.info(
        f"Pretrained weights from {path}: {len(trained)} tensors; "
        + (f"{len(fresh)} start from scratch: {', '.join(fresh[:8])}" if fresh else "all of the backbone")
    )


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
        target = folder / f"{name.split('_')[1]}_{cfg.MODEL.BACKBONE.DEPTH}.pth"
        by_hand = "Google Drive wants a browser"
    else:
        target, by_hand = folder / url.split("/")[-1], ""
    if comm.is_main_process() and not target.is_file() and not by_hand:
        logger.info(f"Downloading {url} to {target}")
        folder.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(url, str(target))
        except (URLError, OSError) as error:
            by_hand = str(error)
    comm.synchronize()
    if not target.is_file():
        raise ConfigError(
            f"cannot download the pretrained weights of {name} ({by_hand or 'the first process failed'}); "
            f"get {url} and save it as {target}, or set MODEL.BACKBONE.PRETRAIN_PATH, or PRETRAIN False"
        )
    return target


def pretrained_url(cfg: CfgNode) -> str | None:
    """Where the toolkit has the weights of this backbone and DEPTH; None where it has none."""
    backbone = cfg.MODEL.BACKBONE
    urls = getattr(sys.modules[BACKBONE_REGISTRY.get(backbone.NAME).__module__], "model_urls", {})
    ibn = "ibn_" if backbone.WITH_IBN else ""
    key = {
        "build_resnet_backbone": ("se_" if backbone.WITH_SE else "") + ibn + backbone.DEPTH,
        "build_resnext_backbone": ibn + backbone.DEPTH,
        "build_osnet_backbone": f"osnet_{ibn}{backbone.DEPTH}",
        "build_resnest_backbone": "resnest" + backbone.DEPTH[:-1],
    }.get(backbone.NAME, backbone.DEPTH)
    return urls.get(key)
