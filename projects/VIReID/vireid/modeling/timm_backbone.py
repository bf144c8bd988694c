"""Any timm model that gives a feature map or tokens, as a backbone: MODEL.BACKBONE.TIMM."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from difflib import get_close_matches
from typing import Any

import torch
from fastreid.modeling.backbones import BACKBONE_REGISTRY
from torch import Tensor, nn
from yacs.config import CfgNode

from vireid.errors import ConfigError
from vireid.modeling.modes import evaluation_mode
from vireid.modeling.pretrained import refuse_two_streams
from vireid.modeling.timm_layout import final_norm, grid_of, stage_modules, stem_modules
from vireid.modeling.timm_models import (
    create_model,
    create_or_explain,
    in_short,
    offline_if_unreachable,
    require_timm,
    size_advice,
    size_options,
)
from vireid.modeling.weight_files import read_state_dict

logger = logging.getLogger("fastreid.vireid.timm")


class TimmBackbone(nn.Module):
    """A timm model without its pooling and classifier.

    Attributes:
        model: timm's; weights and modules keep its names below ``model.``.
        image_size: (height, width) that the model is built for.
        options: of ``size_options``, which it was built with.
        stem_modules: what ("auto",) in MODEL.TWO_STREAM.SPECIFIC stands for.
        stage_modules: containers of the blocks at 1/4, 1/8 and 1/16 of the image; () where timm does not say,
            None where there is one resolution only, as in a plain vision transformer.
        channels_last_blocks: whether its blocks pass (N, H, W, C).
    """

    def __init__(self, model: nn.Module, name: str, image_size: tuple[int, int], options: dict[str, Any]):
        super().__init__()
        self.name, self.image_size, self.options = name, image_size, options
        self._set_model(model)

    def _set_model(self, model: nn.Module) -> None:
        self.model: Any = model
        self.channels_last_blocks = getattr(model, "output_fmt", None) == "NHWC"
        self.norm_name = final_norm(model)
        self.stem_modules = tuple(f"model.{name}" for name in stem_modules(model))
        stages = stage_modules(model)
        self.stage_modules = None if stages is None else tuple(f"model.{name}" for name in stages)

    def forward(self, images: Tensor) -> Tensor:
        """images: (N, 3, H, W) -> the feature map (N, C, h, w): tokens are put back in rows, without class
        and register tokens, each normalized as timm normalizes their mean."""
        features = self.model.forward_features(images)
        if not isinstance(features, Tensor) or features.ndim not in (3, 4):
            raise ConfigError(
                f"MODEL.BACKBONE.TIMM.NAME is {self.name!r}, which gives neither a feature map nor tokens"
            )
        if self.norm_name:
            features = self.model.get_submodule(self.norm_name)(features)
        if features.ndim == 4:
            return features.permute(0, 3, 1, 2) if self.channels_last_blocks else features
        tokens = features[:, getattr(self.model, "num_prefix_tokens", 0) :]
        height, width = grid_of(self.model, self.name, tokens.shape[1], images.shape[2:])
        return tokens.transpose(1, 2).reshape(features.shape[0], -1, height, width)

    def load_pretrained(self, cfg: CfgNode) -> None:
        """Load MODEL.BACKBONE.PRETRAIN_PATH, or what timm downloads for this model, as timm does it:
        names are converted, and position embeddings resized to ``image_size``.

        Raises:
            CheckpointError: no such file, or no tensors in it.
            ConfigError: no download, or the weights do not fit.
        """
        path = cfg.MODEL.BACKBONE.PRETRAIN_PATH
        overlay = None
        if path:
            weights = read_state_dict(path, "MODEL.BACKBONE.PRETRAIN_PATH")
            weights = {name.removeprefix("module."): value for name, value in weights.items()}
            refuse_two_streams(weights, path)
            overlay = {"state_dict": weights, "custom_load": False}
        source = path or f"timm's weights of {self.name}"
        advice = "" if path else " to a file of its weights (.safetensors or .pth)"
        try:
            with _same_draws():
                fresh = create_model(cfg, self.image_size, self.options)
            with _same_draws(), nullcontext() if path else offline_if_unreachable():
                model = create_model(
                    cfg, self.image_size, self.options, pretrained=True, pretrained_cfg_overlay=overlay
                )
        except ConfigError:
            raise
        except Exception as error:  # of the network, the hub's client, or a shape that does not fit
            raise ConfigError(
                f"MODEL.BACKBONE.TIMM.NAME {self.name}: cannot load {source} ({in_short(error)}); set "
                f"MODEL.BACKBONE.PRETRAIN_PATH{advice}, or MODEL.BACKBONE.PRETRAIN False"
            ) from None
        drawn = fresh.state_dict()
        matrices = [name for name, value in model.state_dict().items() if value.ndim > 1]
        kept = [name for name in matrices if torch.equal(model.state_dict()[name], drawn[name])]
        if len(kept) == len(matrices):
            raise ConfigError(f"MODEL.BACKBONE.PRETRAIN_PATH: nothing in {source} fits {self.name}")
        logger.info(
            f"Pretrained weights from {source}; "
            + (f"{len(kept)} start from scratch: {', '.join(kept[:8])}" if kept else "all of the backbone")
        )
        self._set_model(model)
        freeze_unused(self)
        _check_normalization(cfg, model)


@BACKBONE_REGISTRY.register()
def build_timm_backbone(cfg: CfgNode) -> TimmBackbone:
    """MODEL.BACKBONE.TIMM.NAME of timm, for images of INPUT.SIZE_TRAIN and SIZE_TEST.

    Raises:
        ConfigError: timm is not installed, an unknown name, arguments or image sizes it does not take.
    """
    settings = cfg.MODEL.BACKBONE.TIMM
    name, size = settings.NAME, tuple(cfg.INPUT.SIZE_TRAIN)
    known = require_timm().list_models()
    base = name.split(".")[0]
    if ":" not in name and base not in known:
        near = get_close_matches(base, known, n=3)
        found = f"did you mean {' or '.join(near)}?" if near else "timm.list_models() lists the names"
        raise ConfigError(f"MODEL.BACKBONE.TIMM.NAME is {name!r}, which timm does not have; {found}")
    refused = ""
    for options in size_options(cfg):
        backbone = TimmBackbone(create_or_explain(cfg, size, options), name, size, options)
        refused = _refused_size(backbone, cfg.INPUT.SIZE_TRAIN)
        if refused:
            raise ConfigError(
                f"INPUT.SIZE_TRAIN is {list(size)}, which {name} does not take: {refused}; "
                f"{size_advice(backbone.model)}"
            )
        refused = _refused_size(backbone, cfg.INPUT.SIZE_TEST)
        if not refused:
            freeze_unused(backbone)
            return backbone
    raise ConfigError(
        f"INPUT.SIZE_TEST is {list(cfg.INPUT.SIZE_TEST)}, but {name} is built for SIZE_TRAIN {list(size)} "
        f"and takes no other size: {refused}; set both to the same"
    )


@torch.no_grad()
def _refused_size(backbone: TimmBackbone, size: Sequence[int]) -> str:
    """Why the backbone does not take images of (height, width); empty where it does."""
    try:
        with evaluation_mode(backbone):
            backbone(torch.zeros(1, 3, *size))
    except ConfigError:
        raise
    except Exception as error:  # assertions, shape errors, ...
        return in_short(error)
    return ""


def freeze_unused(backbone: nn.Module) -> None:
    """Take the gradient from parameters that the feature map does not depend on (of a pooling or class
    token alone): they would not be trained, and several processes would wait for their gradients."""
    size = getattr(backbone, "image_size", (64, 64))
    parameters = {name: p for name, p in backbone.named_parameters() if p.requires_grad}
    with torch.enable_grad(), evaluation_mode(backbone):
        output = backbone(torch.zeros(1, 3, *size)).sum()
        gradients = torch.autograd.grad(output, list(parameters.values()), allow_unused=True)
    unused = [name for name, gradient in zip(parameters, gradients) if gradient is None]
    for name in unused:
        parameters[name].requires_grad_(False)
    if unused:
        logger.info(f"{len(unused)} tensors do not reach the feature map and are frozen: {', '.join(unused)}")


def _check_normalization(cfg: CfgNode, model: nn.Module) -> None:
    about: Any = getattr(model, "pretrained_cfg", {})
    for key, field in (("PIXEL_MEAN", "mean"), ("PIXEL_STD", "std")):
        scaled = [round(255 * value, 3) for value in about.get(field, [])]
        if any(abs(a - b) > 0.5 for a, b in zip(scaled, cfg.MODEL[key])):
            logger.warning(
                f"{cfg.MODEL.BACKBONE.TIMM.NAME} was pretrained with MODEL.{key} {scaled}; the config has "
                f"{list(cfg.MODEL[key])}"
            )


@contextmanager
def _same_draws() -> Iterator[None]:
    """Weights that are not loaded come out alike, and the caller's generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield
