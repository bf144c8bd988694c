"""A short look at every listed image file before a training, so that a damaged one is named at once.

A few bytes of each file are read: the first say which format it has, the last whether it is whole. Where the
end is missing, or the image may be transparent, of 16 bits or very small, it is decoded.
"""

import logging
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fastreid.utils import comm
from tqdm import tqdm

from vireid.data.samples import TEST_ADVICE, TRAIN_ADVICE, TrainSet
from vireid.errors import DatasetError
from vireid.files import open_regular, refuse_machine_fault
from vireid.images import REPLACE, check_format, read_image, unreadable
from vireid.meeting import meet

logger = logging.getLogger("fastreid.vireid.data")

THREADS = 16  # a network disk answers many questions at once
TOGETHER = 64  # files that a thread looks at before it asks for more
PATIENCE = 3.0  # seconds before a bar is shown
END = 64  # bytes in which the mark of a file's end is expected
START = 2048  # bytes that hold what a PNG says of transparency; a smaller file is read as a whole
SHOWN = 3


def check_files(cfg: Any, train_set: TrainSet, test_sets: Mapping[str, Any]) -> None:
    """Refuse listed images that are missing, empty, of another format, or cut off.

    With INPUT.UNREADABLE "skip", those of the training set are left out, and a warning counts them. The
    processes of a run share the work. Nothing is done where INPUT.CHECK_FILES is False.

    Raises:
        DatasetError: names the first, how many there are, and what to do.
    """
    if not cfg.INPUT.CHECK_FILES:
        return
    skip = cfg.INPUT.UNREADABLE == "skip"
    trained = [item.path for item in train_set.items]
    faults = find_faults(trained, REPLACE if skip else TRAIN_ADVICE, "training")
    if faults and skip:
        train_set.leave_out(list(faults))
        logger.warning(
            'INPUT.UNREADABLE "skip": %d training images cannot be read, and others take their place: %s',
            *(len(faults), _some([trained[index] for index in faults])),
        )
    elif faults:
        raise DatasetError(_summary(faults, trained, "training"))
    for dataset in test_sets.values():
        paths = [item[0] for item in dataset.test]
        faults = find_faults(paths, TEST_ADVICE, "test")
        if faults:
            raise DatasetError(_summary(faults, paths, "test"))


def find_faults(paths: Sequence[str], advice: str, subset: str) -> dict[int, str]:
    """Place in the list -> what is wrong, of the files with a fault; the same on every process of a run.

    Args:
        advice: the end of each message.
        subset: "training" or "test", for the progress bar.
    """
    rank, world_size = comm.get_rank(), comm.get_world_size()
    found: dict[int, str] = {}

    def look(first: int) -> dict[int, str]:
        places = range(first, min(first + TOGETHER, len(paths)))
        faults = {place: file_fault(paths[place], advice) for place in places}
        return {place: fault for place, fault in faults.items() if fault}

    firsts = range(rank * TOGETHER, len(paths), world_size * TOGETHER)
    bar = tqdm(
        total=len(firsts) * TOGETHER,
        desc=f"{subset} files",
        unit="file",
        leave=False,
        disable=None if rank == 0 else True,  # None: where standard error is no terminal
        delay=PATIENCE,
    )
    with ThreadPoolExecutor(THREADS) as threads, bar:
        for faults in threads.map(look, firsts):
            found.update(faults)
            bar.update(TOGETHER)
    shares = meet(list(found.items()))
    return dict(sorted((place, fault) for share in shares for place, fault in share))


def file_fault(path: str, advice: str = REPLACE) -> str:
    """Why an image file cannot be read, as far as its first and last bytes tell; empty if it can."""
    try:
        with open_regular(path, buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            start = file.read(START)
            file.seek(max(0, size - END))
            kind = check_format(start)
            sound = size > START and _is_whole(kind, start, file.read(END), size) and _is_plain(kind, start)
    except (OSError, ValueError, MemoryError) as error:
        refuse_machine_fault(error, path)
        return str(unreadable(path, error, advice))
    if not sound:
        try:
            read_image(path, advice)
        except DatasetError as error:
            return str(error)
    return ""


def _is_whole(kind: str, start: bytes, end: bytes, size: int) -> bool:
    """Whether a file has the end that one of its format has."""
    if kind == "BMP":
        return 0 < int.from_bytes(start[2:6], "little") <= size
    return {"JPEG": b"\xff\xd9", "PNG": b"IEND"}[kind] in end


def _is_plain(kind: str, start: bytes) -> bool:
    """Whether the header says that there is no transparency, and that a channel has 8 bits or fewer."""
    if kind == "PNG":
        return start[24] <= 8 and start[25] in (0, 2) and b"tRNS" not in start
    return kind == "JPEG" or start[28] <= 24


def _summary(faults: Mapping[int, str], paths: Sequence[str], subset: str) -> str:
    first, *others = faults
    if not others:
        return faults[first]
    named = _some([paths[place] for place in others])
    return f"{faults[first]}; {len(others)} more {subset} images cannot be read: {named}"


def _some(paths: Sequence[str]) -> str:
    return ", ".join(paths[:SHOWN]) + (", ..." if len(paths) > SHOWN else "")
