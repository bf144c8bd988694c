"""Reading a dataset's folders and lists; every fault is one line that names the file."""

import os
from pathlib import Path

from vireid.errors import DatasetError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp")
SEE = "see datasets/README.md"


def require_folder(path: str, holds: str) -> None:
    """Raise DatasetError unless ``path`` is a folder; ``holds`` says what is expected in it."""
    if not os.path.isdir(path):
        raise DatasetError(f"{path}: no such folder; expected {holds}; {SEE}")


def read_id_list(path: str) -> list[int]:
    """Identities of a list such as exp/train_id.txt, numbers separated by commas, as they stand there.

    Raises:
        DatasetError: missing, empty, or something that is no number.
    """
    expected = "one line of identity numbers separated by commas"
    words = _read_text(path, expected).replace(",", " ").split()
    for word in words:
        if not (word.isascii() and word.isdigit()):
            raise DatasetError(f"{path}: {word[:40]!r} is not an identity number; expected {expected}; {SEE}")
    if not words:
        raise DatasetError(f"{path} is empty; expected {expected}; {SEE}")
    return [int(word) for word in words]


def read_ids(path: str) -> list[int]:
    """The identities of ``read_id_list``; sorted, each once."""
    return sorted(set(read_id_list(path)))


def read_labelled_paths(path: str, folder: str) -> list[tuple[str, int]]:
    """(image path, label) of each line ``path label`` of a list; paths are relative to ``folder``.

    Raises:
        DatasetError: missing or empty list, a line of another form, an image that does not exist.
    """
    expected = "lines of an image path and a label, such as 'Visible/1/image.bmp 0'"
    images: list[tuple[str, int]] = []
    names: dict[str, frozenset[str]] = {}
    for number, line in enumerate(_read_text(path, expected).splitlines(), start=1):
        if not line.strip():
            continue
        relative, _, label = line.strip().rpartition(" ")
        if not (relative and label.isascii() and label.isdigit()):
            raise DatasetError(f"{path}, line {number}: found {line[:80]!r}; expected {expected}; {SEE}")
        image = os.path.join(folder, relative.strip())
        parent, name = os.path.split(image)
        if parent not in names:
            names[parent] = frozenset(os.listdir(parent)) if os.path.isdir(parent) else frozenset()
        if name not in names[parent]:
            raise DatasetError(
                f"{path}, line {number}: {image} does not exist; is the dataset complete? {SEE}"
            )
        images.append((image, int(label)))
    if not images:
        raise DatasetError(f"{path} is empty; expected {expected}; {SEE}")
    return images


def scan_camera(folder: str, pids: set[int]) -> dict[int, list[str]]:
    """Sorted image paths of each of ``pids`` that has a folder ``<id:04d>`` with images in a camera's folder.

    Raises:
        DatasetError: no such camera folder.
    """
    require_folder(folder, "one folder per identity (0001, 0002, ...) in it")
    found = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.isascii() and entry.name.isdigit() and int(entry.name) in pids and entry.is_dir():
                images = _list_images(entry.path)
                if images and int(entry.name) in found:
                    raise DatasetError(
                        f"{folder} has two folders of identity {int(entry.name)}, {entry.name} and one with "
                        f"other leading zeros; leave one; {SEE}"
                    )
                if images:
                    found[int(entry.name)] = images
    return dict(sorted(found.items()))


def require_images(pids: set[int], found: set[int], source: str, folder: str) -> None:
    """Raise DatasetError where an identity of the list ``source`` has no image."""
    missing = sorted(pids - found)
    if missing:
        raise DatasetError(
            f"{source} names {name_some(missing)}, of which {folder} has no image in any camera; "
            f"is the dataset complete? {SEE}"
        )


def name_some(pids: list[int], most: int = 10) -> str:
    """'identities 3, 5, 8' or, of many, the first few and their number."""
    shown = ", ".join(str(pid) for pid in pids[:most])
    return f"identities {shown}" + (f", ... ({len(pids)} in all)" if len(pids) > most else "")


def _list_images(folder: str) -> list[str]:
    names = [name for name in os.listdir(folder) if name.lower().endswith(IMAGE_SUFFIXES) and name[0] != "."]
    return [os.path.join(folder, name) for name in sorted(names)]


def _read_text(path: str, expected: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DatasetError(f"{path} does not exist; expected {expected}; {SEE}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path} cannot be read ({error}); expected {expected}; {SEE}") from error
