"""One stream of a trained model as a checkpoint and a config of the toolkit's own."""

from pathlib import Path
from typing import Any, cast

import torch
from fastreid.config import get_cfg
from fastreid.modeling import build_model
from fastreid.modeling.backbones import BACKBONE_REGISTRY
from fastreid.modeling.heads import REID_HEADS_REGISTRY
from fastreid.utils.checkpoint import Checkpointer
from yacs.config import CfgNode

from vireid.config import add_vireid_config
from vireid.config.rules import leaves
from vireid.errors import ConfigError, UserError
from vireid.export.graph import EmbeddingGraph
from vireid.export.model import largest_difference
from vireid.files import output_folder, whole_file
from vireid.modeling.backbones import probe_feature_map

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
    if modality not in ("visible", "infrared", "both"):
        raise ConfigError(f"--modality is {modality!r}; expected visible, infrared or both")
    stream = EmbeddingGraph(model, modality)
    if "modalities" in stream.inputs:
        raise ConfigError("--modality is 'both'; the toolkit's model has one stream: say visible or infrared")
    theirs = toolkit_config(cfg, stream)
    path = output_folder(output) / f"toolkit-{modality}.pth"
    with whole_file(path) as weights, whole_file(path.with_suffix(".yml")) as config:
        own = {name: value for name, value in stream.state_dict().items() if not name.startswith("pixel_")}
        torch.save({"model": own}, weights)
        config.write_text(theirs.dump(), encoding="utf-8")
        theirs.MODEL.DEVICE = "cpu"
        baseline = build_model(theirs).eval()
        Checkpointer(baseline).load(str(weights))
        size = tuple(cfg.INPUT.SIZE_TEST)
        difference = largest_difference(model, lambda images, _: baseline({"images": images}), size, modality)
        if not difference <= TOLERANCE:
            raise UserError(
                f"{path} was not written: the toolkit's Baseline has other embeddings (difference "
                f"{difference:.2g}); MODEL.HEADS.NAME {cfg.MODEL.HEADS.NAME} or MODEL.ADAPTERS "
                f"{list(cfg.MODEL.ADAPTERS)} is none of the toolkit's"
            )
    return path, difference


def toolkit_config(cfg: CfgNode, stream: EmbeddingGraph) -> CfgNode:
    """A Baseline with the backbone of a model and, if it is the toolkit's, its head."""
    theirs = get_cfg()
    if not _of_toolkit(BACKBONE_REGISTRY, cfg.MODEL.BACKBONE.NAME):
        add_vireid_config(theirs)
    known = dict(leaves(theirs))
    stated = {key: value for key, value in leaves(cfg) if key.startswith(COPIED) and key in known}
    head, heads = cfg.MODEL.HEADS.NAME, cast(Any, stream.heads)
    stated |= {
        "MODEL.META_ARCHITECTURE": "Baseline",
        "MODEL.BACKBONE.FEAT_DIM": probe_feature_map(stream.backbone, tuple(cfg.INPUT.SIZE_TEST)).channels,
        "MODEL.BACKBONE.PRETRAIN": False,
        "MODEL.HEADS.NAME": head if _of_toolkit(REID_HEADS_REGISTRY, head) else "EmbeddingHead",
        "MODEL.HEADS.NUM_CLASSES": len(heads.weight),
    }
    theirs.merge_from_list([item for pair in stated.items() for item in pair])
    return theirs


def _of_toolkit(registry: Any, name: str) -> bool:
    module: str = registry.get(name).__module__
    return module.startswith("fastreid.")
