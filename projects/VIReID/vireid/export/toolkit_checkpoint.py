"""One stream of a trained model as a checkpoint and a config of the toolkit's own."""

from pathlib import Path
from typing import Any

import torch
import yaml
from fastreid.config import get_cfg
from fastreid.modeling import build_model
from fastreid.modeling.backbones import BACKBONE_REGISTRY
from fastreid.modeling.heads import REID_HEADS_REGISTRY
from fastreid.utils.checkpoint import Checkpointer
from torch import Tensor, nn
from yacs.config import CfgNode

from vireid.config import add_vireid_config
from vireid.config.rules import leaves
from vireid.errors import ConfigError, UserError
from vireid.export.graph import EmbeddingGraph
from vireid.export.model import largest_difference
from vireid.files import output_folder, whole_file
from vireid.modeling.backbones import probe_feature_map
from vireid.modeling.two_stream import ModalityRoute

COPIED = ("MODEL.BACKBONE.", "MODEL.HEADS.", "MODEL.PIXEL_", "INPUT.SIZE_", "TEST.METRIC", "TEST.FLIP.")
TOLERANCE = 1e-4


def write_toolkit_checkpoint(
    cfg: CfgNode, model: Any, output: str | Path, modality: str
) -> tuple[Path, float]:
    """Write ``<output>/toolkit-<modality>.pth``, weights of MODEL.META_ARCHITECTURE Baseline, and the config
    of that model beside it. A config with a backbone of this plugin needs ``add_vireid_config``.

    Args:
        cfg: of the model.
        model: in evaluation mode, on the CPU.
        output: folder.
        modality: whose copy of each stem is taken, "visible" or "infrared"; "both" for a model of one stream.

    Returns:
        The checkpoint, and the largest difference of its embeddings from the model's.

    Raises:
        ConfigError: "both" for a model of two streams, or another word.
        UserError: the toolkit's model has other embeddings: it lacks the model's head or adapters.
    """
    streams = {name for name, module in model.named_modules() if isinstance(module, ModalityRoute)}
    known = ("visible", "infrared") if streams else ("visible", "infrared", "both")
    if modality not in known:
        raise ConfigError(
            f"--modality is {modality!r}; a checkpoint of the toolkit's takes one of {', '.join(known)}"
        )
    path = output_folder(output) / f"toolkit-{modality}.pth"
    with whole_file(path) as weights, whole_file(path.with_suffix(".yml")) as config:
        read = get_cfg()
        if not _of_toolkit(BACKBONE_REGISTRY, cfg.MODEL.BACKBONE.NAME):
            add_vireid_config(read)
        tree = toolkit_config(cfg, model, {key for key, _ in leaves(read)})
        torch.save({"model": one_stream(model, streams, modality)}, weights)
        config.write_text(yaml.safe_dump(tree), encoding="utf-8")
        read.merge_from_file(str(config))
        theirs = build_model(read).eval()
        Checkpointer(theirs).load(str(weights))
        size = tuple(cfg.INPUT.SIZE_TEST)
        difference = largest_difference(model, lambda images, _: theirs({"images": images}), size, modality)
        if not difference <= TOLERANCE:
            raise UserError(
                f"{path} was not written: the toolkit's Baseline has other embeddings (difference "
                f"{difference:.2g}); MODEL.HEADS.NAME {cfg.MODEL.HEADS.NAME} or MODEL.ADAPTERS "
                f"{list(cfg.MODEL.ADAPTERS)} is none of the toolkit's"
            )
    return path, difference


def one_stream(model: nn.Module, streams: set[str], modality: str) -> dict[str, Tensor]:
    """The weights of a model with the copy of a modality in the place of each of the routes ``streams``."""
    weights = {}
    for name, value in model.state_dict().items():
        route = next((stream for stream in streams if name.startswith(f"{stream}.")), "")
        copy, _, rest = name[len(route) + 1 :].partition(".")
        if not route or copy == modality:
            weights[f"{route}.{rest}" if route else name] = value
    return weights


def toolkit_config(cfg: CfgNode, model: Any, known: set[str]) -> dict[str, Any]:
    """Of the ``known`` keys, those of a Baseline with the backbone and, if it is the toolkit's, the head of a
    model."""
    backbone = EmbeddingGraph(model, "visible").backbone
    channels = probe_feature_map(backbone, tuple(cfg.INPUT.SIZE_TEST)).channels
    stated = {key: value for key, value in leaves(cfg) if key.startswith(COPIED) and key in known}
    head = cfg.MODEL.HEADS.NAME
    stated |= {
        "MODEL.META_ARCHITECTURE": "Baseline",
        "MODEL.BACKBONE.FEAT_DIM": channels,
        "MODEL.BACKBONE.PRETRAIN": False,
        "MODEL.HEADS.NAME": head if _of_toolkit(REID_HEADS_REGISTRY, head) else "EmbeddingHead",
        "MODEL.HEADS.NUM_CLASSES": len(model.heads.weight),
    }
    tree: dict[str, Any] = {}
    for key, value in stated.items():
        *groups, name = key.split(".")
        node = tree
        for group in groups:
            node = node.setdefault(group, {})
        node[name] = list(value) if isinstance(value, tuple) else value
    return tree


def _of_toolkit(registry: Any, name: str) -> bool:
    module: str = registry.get(name).__module__
    return module.startswith("fastreid.")
