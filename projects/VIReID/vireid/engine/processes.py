"""Training on several processes."""

import warnings

import torch
from fastreid.utils import comm
from torch import nn
from torch.nn.parallel import DistributedDataParallel


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
