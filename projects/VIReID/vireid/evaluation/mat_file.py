"""Cell arrays of numbers from a MATLAB file of version 5 (MATLAB's -v6 and -v7).

SciPy's reader ends the process on some damaged files. This one reads only what rand_perm_cam.mat holds, and
never past the end of the file.
"""

import struct
import zlib
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vireid.errors import DatasetError
from vireid.files import fault_of_file

MOST_BYTES = 1 << 26  # of a file, and of what it unpacks to
MOST_LEVELS = 4  # of cells in cells
MATRIX, COMPRESSED = 14, 15
CELL = 1
NUMBERS = range(6, 16)  # classes of arrays: double, single, signed and unsigned integers
DTYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}


class Element(NamedTuple):
    """One element of a file: what it is, and its bytes."""

    kind: int
    data: memoryview


class Damaged(ValueError):
    """What is wrong with a file, for the message."""


def read_cells(path: str | PathLike[str], variable: str) -> np.ndarray:
    """A cell array of numeric arrays, and of such cell arrays, as ``scipy.io.loadmat`` gives it.

    Returns:
        object array of two or more dimensions.

    Raises:
        DatasetError: no such file, another version, no such variable, something else in it, or damaged.
    """
    fault = fault_of_file(path, MOST_BYTES)
    if fault:
        raise DatasetError(f"{path} {fault}")
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}") from None
    try:
        names, array = _find(content, variable)
    except (Damaged, struct.error, zlib.error) as error:
        raise DatasetError(f"{path} cannot be read as a MATLAB file: {error}") from None
    if array is None or array.dtype != object:
        found = ", ".join(names) or "nothing"
        raise DatasetError(f"{path} has no variable {variable} that is a cell array; it has {found}")
    return array


def _find(content: bytes, variable: str) -> tuple[list[str], np.ndarray | None]:
    """Names of the variables up to the wanted one, and its content."""
    if content[:8] == b"\x89HDF\r\n\x1a\n" or content[:10] == b"MATLAB 7.3":
        raise Damaged("it is of version 7.3; save it with -v7")
    order = {b"IM": "<", b"MI": ">"}.get(content[126:128])
    if order is None:
        raise Damaged("it has no header of version 5")
    names = []
    for element in _elements(memoryview(content)[128:], order):
        if element.kind == COMPRESSED:
            unpacker = zlib.decompressobj()
            unpacked = unpacker.decompress(element.data, MOST_BYTES)
            if not unpacker.eof:
                raise Damaged(f"a packed element is cut off, or is larger than {MOST_BYTES >> 20} MiB")
            element = next(_elements(memoryview(unpacked), order), element)
        if element.kind != MATRIX:
            continue
        name, array = _array(element.data, order, 0, variable)
        names.append(name)
        if name == variable:
            return names, array
    return names, None


def _elements(data: memoryview, order: str) -> Iterator[Element]:
    place = 0
    while place < len(data):
        kind, size = struct.unpack_from(f"{order}II", data, place)
        if kind >> 16:  # a small element, of up to four bytes beside its tag
            kind, size, start, step = kind & 0xFFFF, kind >> 16, place + 4, 8
            if size > 4:
                raise Damaged(f"an element at byte {place} has {size} bytes in four")
        else:
            start = place + 8
            step = 8 + size + (0 if kind == COMPRESSED else -size % 8)
        if start + size > len(data):
            raise Damaged(f"an element at byte {place} is longer than what is left of the file")
        yield Element(kind, data[start : start + size])
        place += step


def _array(data: memoryview, order: str, level: int, wanted: str = "") -> tuple[str, np.ndarray | None]:
    """Name and content of an array; None for the content of a variable that is not ``wanted``."""
    if level > MOST_LEVELS:
        raise Damaged(f"its cells are nested more than {MOST_LEVELS} deep")
    parts = _elements(data, order)
    if not len(data):
        return "", np.zeros((0, 0))
    head: list[Element] = [part for _, part in zip(range(3), parts)]
    if len(head) < 3:
        raise Damaged("an array has no flags, dimensions or name")
    flags, dimensions, name = head
    if len(flags.data) < 8 or len(dimensions.data) % 4 or not 8 <= len(dimensions.data) <= 32:
        raise Damaged("an array's flags or dimensions are damaged")
    kind = struct.unpack_from(f"{order}I", flags.data)[0] & 0xFF
    shape = tuple(np.frombuffer(dimensions.data, f"{order}i4").tolist())
    title = bytes(name.data).decode("ascii", "replace")
    if level == 0 and title != wanted:
        return title, None
    count = 1
    for side in shape:
        count *= side if 0 <= side <= len(data) else len(data) + 1
    if count > len(data):
        raise Damaged(f"an array of {'x'.join(map(str, shape))} is larger than the file")
    if kind == CELL:
        if count > len(data) // 8:
            raise Damaged(f"a cell array of {'x'.join(map(str, shape))} is larger than the file")
        cells = np.empty(count, dtype=object)
        for place in range(count):
            cell = next(parts, None)
            if cell is None or cell.kind != MATRIX:
                raise Damaged(f"cell {place + 1} of {count} is missing")
            cells[place] = _array(cell.data, order, level + 1)[1]
        return title, cells.reshape(shape, order="F")
    if kind not in NUMBERS:
        raise Damaged(f"an array is of class {kind}; expected cells or numbers")
    numbers = next(parts, None)
    if numbers is None or numbers.kind not in DTYPES:
        raise Damaged("an array has no numbers")
    dtype = np.dtype(order + DTYPES[numbers.kind])
    if len(numbers.data) != count * dtype.itemsize:
        raise Damaged(f"an array of {'x'.join(map(str, shape))} has {len(numbers.data)} bytes")
    return title, np.frombuffer(numbers.data, dtype).reshape(shape, order="F").astype(dtype.newbyteorder("="))
