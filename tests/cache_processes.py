"""What the processes of a run do with images that they share in memory."""

from pathlib import Path

import torch
from fastreid.utils import comm

from vireid.data.resized_images import ImageList


def read_shared(folder, paths, size):
    """The first process reads three images; then each one saves how many it finds, and all images."""
    images = ImageList(paths, size, cache="ram")
    if comm.is_main_process():
        for index in range(3):
            images[index]
    comm.synchronize()
    held = len(images.cache)
    comm.synchronize()
    torch.save(
        (held, [images[index].clone() for index in range(len(paths))]),
        Path(folder) / f"{comm.get_rank()}.pth",
    )
