"""Resized images that are kept: in a file, or in memory that the processes of a run share.

A cache holds the images of one list at one size: a header, a mark for each image, and their pixels, uint8
(3, H, W) one after another. An image is written when it is first read. Its mark is written after its pixels,
and says of which file they are (its size and the time of its last change) and what their sum is. So pixels
that are half written, that are of a file that has changed since, or that a crash of the machine has lost are
read again from the file.
"""

import hashlib
import json
import logging
import mmap
import os
import warnings
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing import reduction
from typing import Any, BinaryIO

import numpy as np
import PIL
import torch
from filelock import FileLock

logger = logging.getLogger("fastreid.vireid.data")

PAGE = 4096
MAGIC = b"FastReID-VI images 1\n"


class Layout:
    """Where everything is in a cache, and what its header says.

    Args:
        paths: of the images, in the order of the list.
        size: (height, width).
        interpolation: the resize filter.
    """

    def __init__(self, paths: Sequence[str], size: Sequence[int], interpolation: str) -> None:
        self.count, (self.height, self.width) = len(paths), size
        listed = hashlib.blake2b("\0".join(paths).encode(errors="surrogateescape"), digest_size=16)
        folder = os.path.basename(os.path.commonpath(paths)) if paths else ""
        shape = f"{self.height}x{self.width}"
        self.name = f"{folder}-{shape}-{interpolation}-{listed.hexdigest()[:8]}.images"
        facts = {"list": listed.hexdigest(), "images": self.count, "size": shape, "filter": interpolation}
        # Another version of Pillow may decode or resize to other pixels.
        self.header = (MAGIC + json.dumps({**facts, "Pillow": PIL.__version__}).encode()).ljust(PAGE, b"\0")
        self.marks = PAGE
        self.pixels = self.marks + -(-16 * self.count // PAGE) * PAGE
        self.length = self.pixels + self.count * self.image_bytes

    @property
    def image_bytes(self) -> int:
        """Of the pixels of one image."""
        return 3 * self.height * self.width

    def fault(self, file: BinaryIO) -> str:
        """Why a file is no cache of this layout; empty where it is one."""
        header, length = os.pread(file.fileno(), PAGE, 0), os.fstat(file.fileno()).st_size
        found, wanted = (
            text.removeprefix(MAGIC).rstrip(b"\0").decode(errors="replace") for text in (header, self.header)
        )
        if not header.startswith(MAGIC) or not found.isprintable():
            return "its header is damaged"
        if header != self.header:
            return f"its header is {found}, expected {wanted}"
        return "" if length == self.length else f"it has {length} bytes, expected {self.length}"

    def write_empty(self, file: BinaryIO) -> None:
        """Make a file a cache without images; it takes space as they come."""
        file.truncate(self.length)
        # Marks are written out: a hole in a file cannot be looked at through a map where the disk is full.
        _write(file, self.header + bytes(self.pixels - self.marks), 0)


class ImageCache:
    """Kept images, for any number of processes that read and write at once.

    It can be given to worker processes, forked or spawned.

    Args:
        file: a cache of ``layout``, open for reading and writing.
        fingerprints: (N,) uint64 of the image files, see ``fingerprints``.
        name: of the cache, for messages.
    """

    def __init__(self, file: BinaryIO, layout: Layout, fingerprints: np.ndarray, name: str) -> None:
        self.layout, self.fingerprints, self.name = layout, fingerprints, name
        # Seen by all workers: which images were compared with their sums, and whether writing failed.
        self.checked = torch.zeros(layout.count + 1, dtype=torch.bool).share_memory_()
        self._open(file)

    def _open(self, file: BinaryIO) -> None:
        layout, self.file = self.layout, file
        view = mmap.mmap(file.fileno(), layout.length, access=mmap.ACCESS_READ)
        self._marks = np.frombuffer(view, np.uint64, 2 * layout.count, layout.marks).reshape(-1, 2)
        pixels = np.frombuffer(view, np.uint8, layout.count * layout.image_bytes, layout.pixels)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            self._pixels = torch.from_numpy(pixels).view(-1, 3, layout.height, layout.width)

    def __getstate__(self) -> dict[str, Any]:
        kept = {key: value for key, value in vars(self).items() if key not in ("file", "_marks", "_pixels")}
        return {**kept, "descriptor": reduction.DupFd(self.file.fileno())}  # type: ignore[no-untyped-call]

    def __setstate__(self, state: dict[str, Any]) -> None:
        descriptor = state.pop("descriptor").detach()
        vars(self).update(state)
        self._open(os.fdopen(descriptor, "r+b", buffering=0))

    def __len__(self) -> int:
        """How many images it holds of files that have not changed."""
        return int((self._marks[:, 0] == self.fingerprints).sum())

    def get(self, index: int) -> torch.Tensor | None:
        """Image ``index``, uint8 (3, H, W), not to be written to; None where it is not held."""
        fingerprint, total = self._marks[index]
        if fingerprint != self.fingerprints[index]:
            return None
        image = self._pixels[index]
        if not self.checked[index]:
            if zlib.crc32(image.numpy().data) != total:
                return None
            self.checked[index] = True
        return image

    def put(self, index: int, image: torch.Tensor) -> None:
        """Keep an image, uint8 (3, H, W). Where it cannot be written, a warning says so once, and no other is
        written."""
        if self.checked[-1]:
            return
        pixels = image.contiguous().numpy()
        mark = np.array([self.fingerprints[index], zlib.crc32(pixels.data)], np.uint64)
        try:
            # Not through the map, where a full disk would end the process. The order matters, see above.
            _write(self.file, pixels, self.layout.pixels + index * self.layout.image_bytes)
            _write(self.file, mark, self.layout.marks + index * mark.nbytes)
        except OSError as error:
            self.checked[-1] = True
            logger.warning(
                "DATALOADER.CACHE: %s cannot be written (%s); what is not in it is read from the image files",
                self.name,
                error.strerror,
            )


def fingerprints(paths: Sequence[str]) -> np.ndarray:
    """(N,) uint64, one for each file's size and time of last change; 1 where there is no such file."""
    # A network disk answers many questions at once.
    with ThreadPoolExecutor(16) as threads:
        parts = threads.map(_fingerprints, (paths[i : i + 256] for i in range(0, len(paths), 256)))
        return np.fromiter((value for part in parts for value in part), np.uint64, len(paths))


def _fingerprints(paths: Sequence[str]) -> list[int]:
    found = []
    for path in paths:
        try:
            status = os.stat(path)
        except OSError:
            found.append(1)
            continue
        seen = hashlib.blake2b(f"{status.st_size} {status.st_mtime_ns}".encode(), digest_size=8)
        found.append(int.from_bytes(seen.digest(), "little") | 1)  # never the 0 of an empty mark
    return found


@contextmanager
def locked(folder: str) -> Iterator[None]:
    """Hold a folder's lock, which the system takes back from a process that dies."""
    with FileLock(os.path.join(folder, ".lock")):
        yield


def open_file(folder: str, layout: Layout) -> BinaryIO:
    """The cache of ``layout`` in a folder; made where there is none, and made anew where it does not fit.

    Raises:
        OSError: the folder or the file cannot be made.
    """
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, layout.name)
    with locked(folder):
        if os.path.exists(path):
            file = opened(path)
            fault = layout.fault(file)
            if not fault:
                return file
            file.close()
            logger.warning("DATALOADER.CACHE: %s does not fit (%s) and is made anew", path, fault)
        temporary = os.path.join(folder, f".{layout.name}.tmp")
        try:
            with open(temporary, "wb", buffering=0) as file:
                layout.write_empty(file)
        except OSError:
            with suppress(FileNotFoundError):
                os.remove(temporary)
            raise
        os.replace(temporary, path)  # a process that has the old one open keeps it
        return opened(path)


def opened(path: str) -> BinaryIO:
    """A file for reading and writing at any place."""
    return os.fdopen(os.open(path, os.O_RDWR), "r+b", buffering=0)


def _write(file: BinaryIO, content: Any, offset: int) -> None:
    left = memoryview(content).cast("B")
    while left:
        written = os.pwrite(file.fileno(), left, offset)
        left, offset = left[written:], offset + written
