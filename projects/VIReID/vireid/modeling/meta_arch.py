"""The meta-architecture: normalization, two streams, head and losses, each named by the config."""

import logging
from collections.abc import Callable
from typing import Any

import torch
from fastreid.config import configurable
from fastreid.modeling.heads import REID_HEADS_REGISTRY
from fastreid.modeling.meta_arch import META_ARCH_REGISTRY
from fastreid.modeling.meta_arch.baseline import Baseline
from fastreid.utils import comm
from torch import Tensor, nn
from yacs.config import CfgNode

from vireid.errors import ConfigError
from vireid.images import looks_infrared
from vireid.modality import Modality
from vireid.modeling.adapters import insert_adapters
from vireid.modeling.backbones import FeatureMap, build_backbone, probe_feature_map
from vireid.modeling.batch_layout import BatchLayout, of_each_image
from vireid.modeling.batch_transforms import Batch, build_batch_transforms
from vireid.modeling.checks import check_head
from vireid.modeling.losses import WeightedLosses, build_losses
from vireid.modeling.two_stream import split_streams
from vireid.precision import autocast
from vireid.registries import find

logger = logging.getLogger("fastreid.vireid.model")


@META_ARCH_REGISTRY.register()
class VIReID(Baseline):
    """A backbone with modality-specific modules, a head, and losses for visible-infrared ReID.

    In training it returns ``{"loss_...": scalar}``, in evaluation the embeddings (N, D) in the order of
    the batch. Images may be uint8 or float in 0..255, on any device, their modalities in any order. What is
    decided by identities and modalities is decided on the host, where a loader leaves them: a step does not
    wait for the device.

    In a training with ``track_frames`` above 1, so many images after each other are of one track: their
    feature maps are averaged before the head.

    Attributes:
        measured: figures of the last training batch beside its losses, scalars on the device.
    """

    @configurable
    def __init__(
        self,
        *,
        backbone: nn.Module,
        heads: nn.Module,
        losses: WeightedLosses,
        batch_transforms: list[Callable[[Batch], Batch]],
        layout: BatchLayout,
        modality_specific: tuple[str, ...],
        channels_last: bool,
        track_frames: int,
        pixel_mean: list[float],
        pixel_std: list[float],
    ):
        super().__init__(backbone=backbone, heads=heads, pixel_mean=pixel_mean, pixel_std=pixel_std)
        self.weighted_losses = losses
        self.batch_transforms = batch_transforms
        self.layout = layout
        self.modality_specific = modality_specific
        self.track_frames = track_frames
        self.told = False  # that colors decide about modalities
        self.measured: dict[str, Tensor] = {}
        self.synchronized = any(isinstance(module, nn.SyncBatchNorm) for module in self.modules())
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.to(memory_format=self.memory_format)

    @classmethod
    def from_config(cls, cfg: CfgNode) -> dict[str, Any]:
        backbone = build_backbone(cfg)
        insert_adapters(cfg, backbone)
        feature_map = probe_feature_map(backbone, tuple(cfg.INPUT.SIZE_TRAIN))
        layout = BatchLayout(feature_map.branches)
        cfg = with_feature_map(cfg, feature_map)
        specific = split_streams(
            backbone,
            cfg.MODEL.BACKBONE.NAME,
            cfg.MODEL.TWO_STREAM.SPECIFIC,
            cfg.MODEL.TWO_STREAM.MIXED_STEM,
            layout,
        )
        return {
            "backbone": backbone,
            "heads": build_head(cfg, feature_map),
            "losses": build_losses(cfg),
            "batch_transforms": build_batch_transforms(cfg),
            "layout": layout,
            "modality_specific": specific,
            "channels_last": cfg.MODEL.CHANNELS_LAST
            and not fails_in_channels_last(backbone, cfg.MODEL.DEVICE),
            "track_frames": cfg.DATALOADER.TRACK_FRAMES if cfg.MODEL.TRACK_MEAN else 1,
            "pixel_mean": cfg.MODEL.PIXEL_MEAN,
            "pixel_std": cfg.MODEL.PIXEL_STD,
        }

    def forward(self, batched_inputs: dict[str, Any]) -> dict[str, Tensor] | Tensor:
        batch = self.preprocess(batched_inputs)
        modalities = batch["modalities"]
        order = None
        if bool((modalities[1:] < modalities[:-1]).any()):
            positions = torch.argsort(modalities, stable=True)
            order = positions.to(self.device, non_blocking=True)
            images = batch.pop("images")[order]
            batch = {**{key: value[positions] for key, value in batch.items()}, "images": images}
        if self.training:
            return self.train_losses(batch)
        self.layout.set(batch["modalities"])
        embeddings = of_each_image(self.heads(self.backbone(batch["images"])), self.layout.branches)
        if order is None:
            return embeddings
        restored = torch.empty_like(embeddings)
        restored[order] = embeddings
        return restored

    def train_losses(self, batch: Batch) -> dict[str, Tensor]:
        """batch: as ``preprocess`` gives it, ordered by modality -> {"loss_...": weighted scalar}."""
        for transform in self.batch_transforms:
            batch = transform(batch)
        modalities = batch["modalities"]
        batch = {key: value.to(self.device, non_blocking=True) for key, value in batch.items()}
        self.layout.set(modalities, batch.get("mixed_sources"), batch.get("mixed_mask"))
        if self.synchronized and comm.get_world_size() > 1:
            self.layout.share()
        features = self.backbone(batch.pop("images"))
        if self.track_frames > 1:
            features = features.unflatten(0, (-1, self.track_frames)).mean(dim=1)
            batch = {key: value[:: self.track_frames] for key, value in batch.items()}
            self.layout.set(modalities[:: self.track_frames])
        layout = self.layout
        if layout.branches > 1:
            features, batch = layout.by_modality(features), layout.expand(batch)
            layout = layout.with_branches()
        outputs = self.heads(features, batch["targets"])
        outputs = {name: value.float() for name, value in outputs.items()}
        if not outputs["pred_class_logits"].shape[1]:
            raise ConfigError("MODEL.HEADS.NUM_CLASSES is 0; set it to the number of training identities")
        self.measured["cls_accuracy"] = accuracy(outputs["pred_class_logits"].detach(), batch["targets"])
        outputs["logits"] = outputs.pop("cls_outputs")
        outputs["embeddings"] = outputs.pop("features")
        with autocast(self.device.type, enabled=False):
            return self.weighted_losses({**batch, **outputs, "sizes": layout.sizes})

    def preprocess(self, batched_inputs: dict[str, Any]) -> Batch:
        """Normalized images on the model's device; identities, cameras, modalities and views on the host."""
        if not self.training:
            batched_inputs = self._with_modalities(batched_inputs)
        if not isinstance(batched_inputs, dict) or "modalities" not in batched_inputs:
            got = list(batched_inputs) if isinstance(batched_inputs, dict) else type(batched_inputs)
            raise ValueError(
                "a batch is a dict with images (N, 3, H, W) in 0..255 and modalities (N,), and targets (N,) "
                f"in training; got {got}"
            )
        batch: Batch = {
            key: batched_inputs[key].cpu()
            for key in ("targets", "camids", "modalities", "views")
            if key in batched_inputs
        }
        batch["images"] = self.preprocess_image(batched_inputs)
        return batch

    def _with_modalities(self, given: Any) -> Any:
        """A test batch; one of the toolkit's, which has no modalities, with those that its colors show."""
        batch = {"images": given} if isinstance(given, Tensor) else given
        if not isinstance(batch, dict) or "images" not in batch or "modalities" in batch:
            return batch
        if not self.told:
            self.told = True
            logger.info("A batch has no modalities: images whose three channels are equal count as infrared")
        return {**batch, "modalities": looks_infrared(batch["images"]) * int(Modality.INFRARED)}

    def preprocess_image(self, batched_inputs: dict[str, Any]) -> Tensor:
        """Normalized images, the batch's own left as they are.

        The toolkit normalizes in place, so that a flipped test batch is normalized twice; and it takes
        float images only.
        """
        images = batched_inputs["images"].to(self.device, non_blocking=True)
        images = images.to(self.pixel_mean.dtype).sub(self.pixel_mean).div_(self.pixel_std)
        return images.contiguous(memory_format=self.memory_format)


def fails_in_channels_last(backbone: nn.Module, device: str) -> bool:
    """Whether a training in channels-last memory would end the process.

    On the CPU, the backward pass of a strided 1x1 convolution of few channels, as in RepVGG's stem, then
    writes past the end of its memory (PyTorch 2.13 with AVX2: of 7 channels and fewer;
    vectors of AVX-512 hold 16 numbers instead of 8).
    """
    return torch.device(device).type == "cpu" and any(
        isinstance(module, nn.Conv2d)
        and module.kernel_size == (1, 1)
        and max(module.stride) > 1
        and module.in_channels < 16
        for module in backbone.modules()
    )


def accuracy(scores: Tensor, targets: Tensor) -> Tensor:
    """scores: (N, C); targets: (N,) -> share of images whose identity scores highest."""
    _, first = scores.topk(1, dim=1)
    return (first.flatten() == targets).float().sum() * (1.0 / len(targets))


def build_head(cfg: CfgNode, feature_map: FeatureMap) -> nn.Module:
    """MODEL.HEADS for the backbone that gives ``feature_map``, which ``cfg`` also has.

    Raises:
        ConfigError: unknown name, or a head that this backbone cannot have.
    """
    kind = find(REID_HEADS_REGISTRY, cfg.MODEL.HEADS.NAME, "MODEL.HEADS.NAME")
    channels = cfg.MODEL.HEADS.EMBEDDING_DIM or cfg.MODEL.BACKBONE.FEAT_DIM
    if cfg.MODEL.HEADS.NORM == "GN" and channels % 32:
        raise ConfigError(
            f"MODEL.HEADS.NORM GN makes 32 groups of channels, and the embedding has {channels}; set it to BN"
        )
    head: nn.Module = kind(cfg)
    check_head(cfg, head, feature_map)
    return head


def with_feature_map(cfg: CfgNode, feature_map: FeatureMap) -> CfgNode:
    """A copy of ``cfg`` with the backbone's FEAT_DIM, and (height, width) of its map as COMPUTED_MAP_SIZE.

    Raises:
        ConfigError: FEAT_DIM is set to something else than the backbone gives.
    """
    channels, height, width, *_ = feature_map
    stated = cfg.MODEL.BACKBONE.FEAT_DIM
    if stated not in (0, channels):
        raise ConfigError(
            f"MODEL.BACKBONE.FEAT_DIM is {stated}, but {cfg.MODEL.BACKBONE.NAME} {cfg.MODEL.BACKBONE.DEPTH} "
            f"gives {channels} channels; set it to {channels}, or leave it 0"
        )
    cfg = cfg.clone()
    cfg.defrost()
    cfg.MODEL.BACKBONE.FEAT_DIM = channels
    cfg.MODEL.BACKBONE.COMPUTED_MAP_SIZE = (height, width)
    return cfg
