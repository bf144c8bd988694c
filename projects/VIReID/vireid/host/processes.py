"""The processes of a training: started and joined on GPUs or not; the toolkit's launcher demands GPUs."""

import os
import warnings
from collections.abc import Callable
from typing import Any

from vireid.errors import ConfigError
from vireid.host.patching import replaces


def join_process_group(device: str, url: str | None = None) -> None:
    """Set up what ``torchrun`` launched: on GPUs NCCL and one for each process, else gloo.

    The toolkit's own launcher demands CUDA, and its ``comm.get_local_rank`` the group made here.

    Args:
        device: MODEL.DEVICE.
        url: where the processes meet; None: where the environment says.

    Raises:
        ConfigError: more processes on this machine than GPUs, or one GPU for all of them.
    """
    import torch
    import torch.distributed as dist
    from fastreid.utils import comm

    if "LOCAL_RANK" not in os.environ or dist.is_initialized():
        return
    # comm.gather makes its buffers of a deprecated storage class.
    warnings.filterwarnings("ignore", message="TypedStorage is deprecated")
    local_rank, local_size = int(os.environ["LOCAL_RANK"]), int(os.environ["LOCAL_WORLD_SIZE"])
    on_gpu = device.startswith("cuda") and torch.cuda.is_available()
    if on_gpu:
        found, (_, _, index) = torch.cuda.device_count(), device.partition(":")
        if local_size > found or (index and local_size > 1):
            raise ConfigError(
                f"MODEL.DEVICE is {device}: {local_size} processes on this machine need a GPU each, and "
                f"there are {1 if index else found}; start fewer, or set MODEL.DEVICE to cuda or cpu"
            )
        torch.cuda.set_device(int(index or local_rank))
    met: dict[str, Any] = {}
    if url is not None:
        numbers = {"rank": int(os.environ["RANK"]), "world_size": int(os.environ["WORLD_SIZE"])}
        met = {"init_method": url, **numbers}
    dist.init_process_group("nccl" if on_gpu else "gloo", **met)
    for first in range(0, dist.get_world_size(), local_size):
        ranks = list(range(first, first + local_size))
        group = dist.new_group(ranks)
        if dist.get_rank() in ranks:
            comm._LOCAL_PROCESS_GROUP = group


@replaces("fastreid.engine.launch:_distributed_worker", "it demands CUDA, and NCCL even where none is")
def _start(
    original: Any,
    local_rank: int,
    main_func: Callable[..., Any],
    world_size: int,
    num_gpus_per_machine: int,
    machine_rank: int,
    dist_url: str,
    args: tuple[Any, ...],
) -> None:
    numbers = {
        "RANK": machine_rank * num_gpus_per_machine + local_rank,
        "WORLD_SIZE": world_size,
        "LOCAL_RANK": local_rank,
        "LOCAL_WORLD_SIZE": num_gpus_per_machine,
    }
    os.environ.update({name: str(number) for name, number in numbers.items()})  # as torchrun says it
    join_process_group("cuda", dist_url)
    main_func(*args)
