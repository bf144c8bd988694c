"""What each of several processes computes on a GPU, for the tests marked ``gpu``."""

from processes import TrainLosses, gradients, model_and_batch, share_of  # isort: skip  (imports vireid first)

from pathlib import Path

import torch
from fastreid.utils import comm

from gpu_device import make_convolutions_exact
from vireid.engine.models import distributed


def save_step(folder, recipe, norm, device):
    """Losses and gradients of this process's share of a batch; of one process, of the joined batch.

    Args:
        norm: "BN", whose layers are in evaluation mode, as the statistics of shares differ; "syncBN" in
            training mode; or "joint BN", what one process has in its place.
    """
    make_convolutions_exact()
    own = "syncBN" if norm == "syncBN" else "BN"
    model, batch = model_and_batch(recipe, MODEL__BACKBONE__NORM=own, MODEL__HEADS__NORM=own)
    if norm != "BN":
        model.train()
    if comm.get_world_size() > 1:
        batch = share_of(batch)
    on_device = {name: batch[name].to(device) for name in ("images", "mixed_mask") if name in batch}
    losses, found = gradients(
        distributed(TrainLosses(model.to(device))), {**batch, **on_device}, torch.float32
    )
    losses = {name: value.cpu() for name, value in losses.items()}
    found = {name: None if value is None else value.cpu() for name, value in found.items()}
    torch.save((losses, found), Path(folder) / f"{comm.get_world_size()}_{comm.get_rank()}.pth")
