"""Cell arrays of MATLAB files, beside SciPy's reader."""

import struct

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from vireid.errors import DatasetError
from vireid.evaluation import SYSUProtocol
from vireid.evaluation.mat_file import read_cells


def cells_of(*rows, cameras=6):
    """[camera][identity] -> a matrix, the same for all."""
    cells = np.empty((cameras, 1), dtype=object)
    for camera in range(cameras):
        cells[camera, 0] = np.empty((len(rows), 1), dtype=object)
        for pid, matrix in enumerate(rows):
            cells[camera, 0][pid, 0] = np.array(matrix)
    return cells


def flat(cells):
    return [(matrix.shape, matrix.tolist()) for camera in cells[:, 0] for matrix in camera[:, 0]]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("dtype", ["f8", "f4", "u1", "u2", "i2", "i4", "u4", "i8", ">f8"])
def test_equals_scipy(tmp_path, packed, dtype):
    rows = [np.arange(1, 7).reshape(2, 3).astype(dtype), np.zeros((0, 0)), np.array([[300.0, 2.0]])]
    path = tmp_path / "rand_perm_cam.mat"
    savemat(path, {"other": np.arange(3), "rand_perm_cam": cells_of(*rows)}, do_compression=packed)
    found, expected = read_cells(path, "rand_perm_cam"), loadmat(path)["rand_perm_cam"]
    assert found.shape == expected.shape == (6, 1)
    assert flat(found) == flat(expected)


def element(kind, data, order="<"):
    return struct.pack(f"{order}II", kind, len(data)) + data + bytes(-len(data) % 8)


def matrix(kind, shape, *parts, name=b"", order="<"):
    head = element(6, struct.pack(f"{order}II", kind, 0), order)
    head += element(5, struct.pack(f"{order}{len(shape)}i", *shape), order) + element(1, name, order)
    return element(14, head + b"".join(parts), order)


def file(*elements, order="<"):
    mark = b"IM" if order == "<" else b"MI"
    return b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack(f"{order}H", 0x0100) + mark + b"".join(elements)


def test_a_file_of_another_byte_order(tmp_path):
    numbers = matrix(6, (1, 2), element(9, struct.pack(">2d", 4, 5), ">"), order=">")
    path = tmp_path / "big.mat"
    path.write_bytes(file(matrix(1, (1, 1), numbers, name=b"rand_perm_cam", order=">"), order=">"))
    assert read_cells(path, "rand_perm_cam")[0, 0].tolist() == [[4.0, 5.0]]


def nested(levels):
    content = matrix(6, (1, 1), element(9, struct.pack("<d", 1)))
    for level in range(levels):
        content = matrix(1, (1, 1), content, name=b"rand_perm_cam" if level == levels - 1 else b"")
    return content


NAME = {"name": b"rand_perm_cam"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it has no header of version 5"),
        (b"\x89HDF\r\n\x1a\n" + bytes(200), "it is of version 7.3; save it with -v7"),
        (file(struct.pack("<II", 14, 2**31)), "an element at byte 0 is longer than what is left of the file"),
        (file(struct.pack("<HH", 1, 9) + bytes(4)), "an element at byte 0 has 9 bytes in four"),
        (file(element(15, b"no zlib")), "Error -3 while decompressing"),
        (file(matrix(1, (10**9, 1), **NAME)), "an array of 1000000000x1 is larger than the file"),
        (file(matrix(1, (-3, 1), **NAME)), "an array of -3x1 is larger than the file"),
        (file(matrix(1, (2, 1), nested(1), **NAME)), "cell 2 of 2 is missing"),
        (file(nested(9)), "its cells are nested more than 4 deep"),
        (file(matrix(2, (1, 1), **NAME)), "an array is of class 2; expected cells or numbers"),
        (file(matrix(6, (1, 1), **NAME)), "an array has no numbers"),
        (file(matrix(6, (1, 2), element(9, bytes(8)), **NAME)), "an array of 1x2 has 8 bytes"),
        (file(element(14, bytes(8))), "an array has no flags, dimensions or name"),
    ],
)
def test_a_damaged_file_is_refused_in_one_line(tmp_path, content, message):
    path = tmp_path / "rand_perm_cam.mat"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match="rand_perm_cam.mat cannot be read as a MATLAB file: ") as error:
        read_cells(path, "rand_perm_cam")
    assert message in str(error.value)


def test_a_packed_file_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "rand_perm_cam.mat"
    savemat(path, {"rand_perm_cam": cells_of(np.zeros((100, 100)))}, do_compression=True)
    monkeypatch.setattr("vireid.evaluation.mat_file.MOST_BYTES", 10_000)
    with pytest.raises(DatasetError, match="a packed element is cut off, or is larger than 0 MiB"):
        read_cells(path, "rand_perm_cam")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([[1, 2.5]], "camera 1, identity 2: 2.5 is no image number; expected whole numbers from 1"),
        ([[1, np.nan]], "camera 1, identity 2: nan is no image number"),
        ([[0, 1]], "camera 1, identity 2: 0 is no image number"),
        ([[1, 1e300]], "camera 1, identity 2: 1e[+]300 is no image number"),
        ([1, 2], "camera 1, identity 2: not a matrix of numbers"),
    ],
)
def test_wrong_numbers_name_file_camera_and_identity(row, message):
    with pytest.raises(DatasetError, match=f"rand_perm_cam, {message}"):
        SYSUProtocol(cells_of([[1, 2]], row))


def test_an_image_that_a_trial_draws_twice_is_named():
    pids, camids, numbers = np.array(np.meshgrid([1], range(1, 7), [1, 2])).reshape(3, -1)
    with pytest.raises(DatasetError, match=r"draws an image of identity 0001 in camera 1 twice \(trial 0\)"):
        SYSUProtocol(cells_of([[2, 2]]), shots=10, trials=1).setting(pids, camids, numbers)
