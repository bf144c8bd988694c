"""Whether SYSU-MM01's exp/rand_perm_cam.mat fits the images that there are."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from vireid.errors import DatasetError
from vireid.evaluation.sysu_mm01 import VISIBLE_CAMERAS, read_permutations

TRIALS = 10
CAMERAS = range(1, 7)
Numbers = dict[tuple[int, int], set[int]]  # (camera, identity) -> numbers of its images


def permutation_faults(
    path: str, train: Sequence[tuple[int, int, int]], test: Sequence[tuple[int, int, int]]
) -> Iterator[str]:
    """Each identity and camera whose permutations are not those of its images, as one line.

    Where the file has no permutation, as of identities that are not tested, nothing is compared.

    Args:
        path: of rand_perm_cam.mat.
        train, test: (identity, camera, number) of the images.
    """
    try:
        cells = read_permutations(path).numbers
    except DatasetError as error:
        yield str(error)
        return
    assert cells is not None  # it is where there is a file
    numbers: Numbers = defaultdict(set)
    for pid, camid, number in (*train, *test):
        numbers[camid, pid].add(number)
    tested = {pid for pid, _, _ in test}
    for pid in sorted({pid for _, pid in numbers}):
        for camid in CAMERAS:
            held = numbers.get((camid, pid), set())
            rows = cells[camid - 1][pid - 1] if pid <= len(cells[camid - 1]) else np.zeros((0, 0), int)
            where = f"{path}, camera {camid}, identity {pid:04d}"
            if rows.shape[1]:
                yield from (f"{where}: {fault}" for fault in _faults(rows, held))
            elif held and pid in tested and camid in VISIBLE_CAMERAS:
                yield f"{where}: no permutation of its {len(held)} images"


def _faults(rows: np.ndarray, held: set[int]) -> Iterator[str]:
    drawn = set(rows.ravel().tolist())
    if len(rows) < TRIALS:
        yield f"{len(rows)} permutations; expected {TRIALS}, one for each trial"
    if drawn - held:
        yield f"draws {_images(drawn - held)} not exist"
    if held - drawn:
        left = held - drawn
        yield f"does not permute {len(left)} of the {len(held)} images, such as {min(left):04d}.jpg"
    if any(len(set(row)) < len(row) for row in rows.tolist()):
        yield "draws an image twice in one trial"


def _images(numbers: set[int]) -> str:
    names = [f"{number:04d}.jpg" for number in sorted(numbers)]
    if len(names) == 1:
        return f"{names[0]}, which does"
    return f"{len(names)} images ({', '.join(names[:3])}{', ...' * (len(names) > 3)}) that do"
