"""Training on several processes."""

import warnings

import torch
from fastreid.utils import comm
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from yacs.config import CfgNode


def distributed(cfg: CfgNode, model: nn.Module) -> nn.Module:
    """The model, wrapped to average gradients where there are several processes."""
    if comm.get_world_size() == 1:
        return model
    on_gpu = cfg.MODEL.DEVICE.startswith("cuda")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*broadcast_buffers", category=FutureWarning)
        return DistributedDataParallel(
            model,
            device_ids=[comm.get_local_rank()] if on_gpu else None,
            broadcast_buffers=False,  # done once an epoch, by share_buffers
            # A batch may lack a modality, and so leave a stem without gradient.
            find_unused_parameters=cfg.DATALOADER.SAMPLER_TRAIN != "CrossModalityIdentitySampler",
        )


def share_buffers(model: nn.Module) -> None:
    """Give every process the first one's buffers (running statistics of batch norm), so that what is
    evaluated is what is saved."""
    if comm.get_world_size() > 1:
        for buffer in model.buffers():
            torch.distributed.broadcast(buffer, 0)
