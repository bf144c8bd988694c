"""The model of a config, compiled where SOLVER.COMPILE says so, and on several processes."""

import importlib.util
import logging
import os
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from fastreid.modeling.meta_arch import META_ARCH_REGISTRY
from fastreid.utils import comm
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from yacs.config import CfgNode

from vireid.errors import ConfigError
from vireid.registries import find

logger = logging.getLogger("fastreid.vireid.models")


def build_model(cfg: CfgNode) -> nn.Module:
    """MODEL.META_ARCHITECTURE on MODEL.DEVICE.

    Raises:
        ConfigError: an unknown name, or parts that do not go together.
    """
    missing = [layer for layer in cfg.MODEL.FREEZE_LAYERS if layer not in ("backbone", "heads")]
    if missing:
        raise ConfigError(f"MODEL.FREEZE_LAYERS names {missing[0]!r}; the model has backbone and heads")
    kind = find(META_ARCH_REGISTRY, cfg.MODEL.META_ARCHITECTURE, "MODEL.META_ARCHITECTURE")
    model: nn.Module = kind(cfg).to(torch.device(cfg.MODEL.DEVICE))
    parameters = sum(parameter.numel() for parameter in model.parameters())
    specific = ", ".join(getattr(model, "modality_specific", ())) or "none: one stream"
    logger.info(f"Model of {parameters / 1e6:.2f} M parameters; modality-specific: {specific}")
    return model


def uncounted(cfg: CfgNode) -> CfgNode:
    """A frozen copy without a number of identities: the toolkit would keep it, whatever is trained on."""
    cfg = cfg.clone()
    cfg.defrost()
    cfg.MODEL.HEADS.NUM_CLASSES = 0
    cfg.freeze()
    return cfg


def distributed(model: nn.Module) -> nn.Module:
    """The model on its device, wrapped to average gradients where there are several processes."""
    if comm.get_world_size() == 1:
        return model
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*broadcast_buffers", category=FutureWarning)
        return DistributedDataParallel(
            model,  # on this process's one device; with device_ids, DDP would wait for the batch to get there
            broadcast_buffers=False,  # done once an epoch, by share_buffers
            # A batch may leave parameters without gradient, or a process's share of it may: a stem whose
            # modality it lacks, stripes that no loss asks for. The search takes a walk over the graph, and
            # a parameter that no process used keeps no gradient, as on one process.
            find_unused_parameters=True,
        )


def share_buffers(model: nn.Module) -> None:
    """Give every process the first one's buffers (running statistics of batch norm), so that what is
    evaluated is what is saved."""
    if comm.get_world_size() > 1:
        for buffer in model.buffers():
            torch.distributed.broadcast(buffer, 0)


def compile_backbone(cfg: CfgNode, model: nn.Module) -> None:
    """Compile the model's backbone, in place, if SOLVER.COMPILE says so; its first steps take minutes.

    Raises:
        ConfigError: the compiler that PyTorch needs is missing.
    """
    if not cfg.SOLVER.COMPILE:
        return
    compiler = os.environ.get("CXX", "g++")
    if shutil.which(compiler) is None:
        raise ConfigError(
            f"SOLVER.COMPILE True needs a C++ compiler, and there is no {compiler}: install one, name it by "
            "the variable CXX, or set SOLVER.COMPILE False"
        )
    if torch.device(cfg.MODEL.DEVICE).type == "cuda" and importlib.util.find_spec("triton") is None:
        raise ConfigError(
            "SOLVER.COMPILE True needs triton on a GPU: pip install triton, or set SOLVER.COMPILE False"
        )
    backbone = getattr(model, "backbone", model)
    backbone.compile()


@contextmanager
def compiler_errors() -> Iterator[None]:
    """Raise what the compiler cannot compile as one line.

    Raises:
        ConfigError: with its reason.
    """
    try:
        yield
    except Exception as error:
        module = type(error).__module__
        if not module.startswith(("torch._dynamo", "torch._inductor")):
            raise
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise ConfigError(
            f"SOLVER.COMPILE: PyTorch cannot compile this backbone ({reason}); set SOLVER.COMPILE False"
        ) from error
