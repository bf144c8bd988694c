"""The images of a list at one size, from their files or from a cache."""

import logging
import os
import shutil
import socket
import tempfile
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, cast

import torch
from fastreid.utils import comm

from vireid.data.cache import ImageCache, Layout, fingerprints, open_file, opened
from vireid.errors import ConfigError
from vireid.images import REPLACE, read_image, resized

logger = logging.getLogger("fastreid.vireid.data")

RAM = "ram"
# Caches that this process used last: a test set is evaluated more than once, and its images are kept.
_open: OrderedDict[tuple[str, bytes], ImageCache] = OrderedDict()
MOST_OPEN = 4


class ImageList:
    """Resized images by their place in a list.

    Args:
        paths: of the image files.
        size: (height, width).
        interpolation: the resize filter, one of FILTERS.
        cache: where they are kept, as DATALOADER.CACHE: "" (nowhere), "ram", or a folder.
        advice: what the error about a file that cannot be read advises.
    """

    def __init__(
        self,
        paths: Sequence[str],
        size: Sequence[int],
        interpolation: str = "bicubic",
        cache: str = "",
        advice: str = REPLACE,
    ) -> None:
        self.paths, self.size, self.interpolation, self.advice = list(paths), size, interpolation, advice
        self.cache = open_cache(cache, Layout(self.paths, size, interpolation), self.paths) if cache else None

    def __len__(self) -> int:
        """Number of images."""
        return len(self.paths)

    def __getitem__(self, index: int) -> torch.Tensor:
        """uint8 (3, H, W); not to be written to where there is a cache.

        Raises:
            DatasetError: it cannot be read.
        """
        image = None if self.cache is None else self.cache.get(index)
        if image is None:
            image = resized(read_image(self.paths[index], self.advice), self.size, self.interpolation)
            if self.cache is not None:
                self.cache.put(index, image)
        return image


def check_cache(place: str) -> None:
    """Refuse a DATALOADER.CACHE that nothing can be written to.

    Raises:
        ConfigError: says why.
    """
    if place and not hasattr(os, "pwrite"):
        raise ConfigError(
            f"DATALOADER.CACHE is {place!r}, and this system has no way to keep images; set it to ''"
        )
    if place in ("", RAM):
        return
    try:
        os.makedirs(os.path.expanduser(place), exist_ok=True)
        with tempfile.TemporaryFile(dir=os.path.expanduser(place)):
            pass
    except OSError as error:
        raise ConfigError(
            f"DATALOADER.CACHE is {place!r}, and nothing can be written there ({error.strerror}); "
            'expected "", "ram" or a folder'
        ) from None


def open_cache(place: str, layout: Layout, paths: Sequence[str]) -> ImageCache | None:
    """The cache of a list at ``place``; with a warning, None where there is no memory or no disk for it.

    With "ram", all processes of a run have to call this for the same list.
    """
    if not paths:
        return None
    key = (place, layout.header)
    if key not in _open:
        try:
            if place == RAM:
                file, name = _shared_memory(layout), "the memory for images"
            else:
                file, name = _folder_file(os.path.expanduser(place), layout)
            cache = ImageCache(file, layout, fingerprints(paths), name)
        except OSError as error:
            logger.warning("DATALOADER.CACHE: images are not kept (%s)", error.strerror or error)
            return None
        logger.info(
            "Images are kept in %s: %d of %d are in it, %s when it is full",
            *(name, len(cache), layout.count, _gigabytes(layout.length)),
        )
        _open[key] = cache
    _open.move_to_end(key)
    while len(_open) > MOST_OPEN:
        _open.popitem(last=False)
    return _open[key]


def _folder_file(folder: str, layout: Layout) -> tuple[BinaryIO, str]:
    file = open_file(folder, layout)
    lacking = layout.length - 512 * os.fstat(file.fileno()).st_blocks
    if lacking > shutil.disk_usage(folder).free:
        logger.warning(
            "DATALOADER.CACHE: %s has %s free, and all images take %s more; those that find no place are "
            "read from their files",
            *(folder, _gigabytes(shutil.disk_usage(folder).free), _gigabytes(lacking)),
        )
    return file, os.path.join(folder, layout.name)


def _shared_memory(layout: Layout) -> BinaryIO:
    """Memory without a name, which the system takes back when the last process that has it ends: one for all
    processes of this run on this machine."""
    machine, free, offer = socket.gethostname(), _free_memory(), ""
    if free is not None:  # other lists have been given memory that they do not fill yet
        others = [cache for (place, _), cache in _open.items() if place == RAM]
        free -= sum(cache.layout.length - len(cache) * cache.layout.image_bytes for cache in others)
    own: BinaryIO | None = None
    if free is None or free >= layout.length:
        if hasattr(os, "memfd_create"):
            own = os.fdopen(os.memfd_create("images"), "r+b", buffering=0)
        else:  # not Linux
            own = cast(BinaryIO, tempfile.TemporaryFile(buffering=0))  # noqa: SIM115
        layout.write_empty(own)
        offer = f"/proc/{os.getpid()}/fd/{own.fileno()}"
    offers = comm.all_gather((machine, offer))
    first = next((path for host, path in offers if host == machine and path), "")
    shared = own
    try:
        offered = opened(first)
        if not layout.fault(offered):
            shared = offered
    except OSError:  # none, or of another container of the same name: each has its own
        pass
    comm.synchronize()  # what is offered stays open until all have it
    if shared is None:
        raise OSError(
            f"they take {_gigabytes(layout.length)} of memory, and {_gigabytes(max(0, free or 0))} are "
            "free; a folder on a fast disk does as well"
        )
    return shared


def _free_memory() -> int | None:
    """Bytes that this process may still take; None where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return None
    return min([free, *_free_of_groups()])


# Of a control group of Linux, of version 2 and of version 1: its limit, what it uses, and what of that are
# files, which are given back when memory is needed.
VERSION_2 = ("memory.max", "memory.current", "inactive_file")
VERSION_1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def _free_of_groups(
    root: Path = Path("/sys/fs/cgroup"), process: Path = Path("/proc/self/cgroup")
) -> list[int]:
    """Bytes that each control group that this process is in may still take: a container's, a job's."""
    found = []
    try:
        groups = [line.split(":", 2) for line in process.read_text().splitlines()]
    except OSError:
        return []
    for _, controllers, path in groups:
        if controllers and "memory" not in controllers.split(","):
            continue
        top = root / "memory" if controllers else root
        names = VERSION_1 if controllers else VERSION_2
        folder = top / path.lstrip("/")
        found += [
            _free_of_group(place, *names) for place in (folder, *folder.parents) if place.is_relative_to(top)
        ]
    return [size for size in found if size is not None]


def _free_of_group(folder: Path, limit: str, used: str, files: str) -> int | None:
    try:
        allowed, taken = (int((folder / name).read_text()) for name in (limit, used))  # "max" is no number
        words = (line.split() for line in (folder / "memory.stat").read_text().splitlines())
        return max(0, allowed - taken + next(int(size) for name, size in words if name == files))
    except (OSError, ValueError, StopIteration):
        return None


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
