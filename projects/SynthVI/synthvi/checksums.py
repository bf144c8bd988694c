"""The checksum file of a dataset: SHA-256 of every file's bytes, as `sha256sum` writes and checks it.

The sums are of file bytes, not of decoded pixels: decoders differ in the pixels of a JPEG, and file
bytes can be checked without Python (`sha256sum --check SHA256SUMS`).
"""

import hashlib
import os
from pathlib import Path

from vireid.errors import DatasetError

FILE = "SHA256SUMS"


def write_checksums(folder: str | os.PathLike) -> str:
    """Write the checksum file of a folder.

    Returns:
        The SHA-256 of the checksum file, 64 hexadecimal digits. It stands for the whole dataset.

    Raises:
        DatasetError: a file cannot be read or written.
    """
    root = Path(folder)
    try:
        lines = [f"{_sum(root / path)}  {path}\n" for path in _files(root)]
        content = "".join(lines).encode()
        (root / FILE).write_bytes(content)
    except OSError as error:
        raise DatasetError(f"cannot write {root / FILE}: {error}") from error
    return hashlib.sha256(content).hexdigest()


def digest_of(folder: str | os.PathLike) -> str:
    """The SHA-256 of a folder's checksum file, whose files are not read.

    Raises:
        DatasetError: there is no checksum file.
    """
    path = Path(folder) / FILE
    try:
        return _sum(path)
    except OSError as error:
        raise DatasetError(
            f"{path} cannot be read ({error.strerror}); make the dataset with vireid data make --recipe"
        ) from error


def verify_checksums(folder: str | os.PathLike) -> str:
    """Compare every file of a folder with its checksum file.

    Returns:
        The SHA-256 of the checksum file, 64 hexadecimal digits.

    Raises:
        DatasetError: there is no checksum file, or a file is missing, differs, or is not in it.
    """
    root = Path(folder)
    try:
        content = (root / FILE).read_bytes()
    except OSError as error:
        raise DatasetError(f"{root / FILE} cannot be read ({error}); expected the checksum file") from error
    expected: dict[str, str] = {}
    for number, line in enumerate(content.decode("utf-8", errors="replace").splitlines(), start=1):
        digest, gap, path = line.partition("  ")
        if len(digest) != 64 or not gap or not path:
            raise DatasetError(
                f"{root / FILE}, line {number}: found {line[:80]!r}; expected a sum and a path, "
                "as sha256sum writes them"
            )
        expected[path] = digest
    files = _files(root)
    missing = sorted(expected.keys() - set(files))
    extra = sorted(set(files) - expected.keys())
    try:
        altered = [path for path in files if path in expected and _sum(root / path) != expected[path]]
    except OSError as error:
        raise DatasetError(f"{root} cannot be read: {error}") from error
    faults = (("missing", missing), ("altered", altered), ("not in the checksum file", extra))
    found = [f"{len(paths)} {what} (first {paths[0]})" for what, paths in faults if paths]
    if found:
        raise DatasetError(f"{root} is not the dataset of its {FILE}: {', '.join(found)}; generate it anew")
    return hashlib.sha256(content).hexdigest()


def _files(root: Path) -> list[str]:
    """Relative paths of all files but the checksum file, sorted, with forward slashes."""
    paths = (path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    return sorted(path for path in paths if path != FILE)


def _sum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
