"""Reading a dataset's folders and lists; every fault is one line that names the file.

A function that takes ``report`` calls it with each fault that it can read past: ``refuse`` raises the first,
a list's ``append`` gathers them all.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from vireid.errors import DatasetError
from vireid.files import fault_of_file
from vireid.image_names import READ_SUFFIXES

MOST_BYTES = 1 << 28  # of a list
LONGEST_PATH = 1000
SEE = "see datasets/README.md"


LABELLED = "lines of an image path and a label, such as 'Visible/1/image.bmp 0'"

Report = Callable[[str], None]


def refuse(fault: str) -> None:
    """Raise DatasetError."""
    raise DatasetError(fault)


def require_folder(path: str, holds: str, report: Report = refuse) -> bool:
    """Whether ``path`` is a folder; ``holds`` says what is expected in it."""
    if not os.path.isdir(path):
        report(f"{path}: no such folder; expected {holds}; {SEE}")
        return False
    return True


def read_id_list(path: str) -> list[int]:
    """Identities of a list such as exp/train_id.txt, numbers separated by commas, as they stand there.

    Raises:
        DatasetError: missing, empty, or something that is no number.
    """
    expected = "one line of identity numbers separated by commas"
    words = _read_text(path, expected).replace(",", " ").split()
    for word in words:
        if not is_number(word):
            raise DatasetError(f"{path}: {word[:40]!r} is not an identity number; expected {expected}; {SEE}")
    if not words:
        raise DatasetError(f"{path} is empty; expected {expected}; {SEE}")
    return [int(word) for word in words]


def read_ids(path: str) -> list[int]:
    """The identities of ``read_id_list``; sorted, each once."""
    return sorted(set(read_id_list(path)))


def labelled_lines(path: str, report: Report = refuse) -> Iterator[tuple[int, str, int]]:
    """(number of the line, image path as written, label) of each line ``path label`` of a list.

    Reports: a missing or empty list, a line of another form.
    """
    try:
        text = _read_text(path, LABELLED)
    except DatasetError as error:
        report(str(error))
        return
    if not text.strip():
        report(f"{path} is empty; expected {LABELLED}; {SEE}")
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        image, _, label = line.strip().rpartition(" ")
        if os.path.isabs(image):
            report(
                f"{path}, line {number}: {image[:80]!r} begins with a slash; paths are relative to the "
                f"dataset's folder; {SEE}"
            )
        elif image and len(image) <= LONGEST_PATH and is_number(label):
            yield number, image.strip(), int(label)
        else:
            report(f"{path}, line {number}: found {line[:80]!r}; expected {LABELLED}; {SEE}")


def read_lines(path: str, expected: str) -> Iterator[tuple[int, str]]:
    """(number from 1, text) of each line of a list; ``expected`` says what they are.

    Raises:
        DatasetError: a missing or empty list, an empty line in it.
    """
    lines = _read_text(path, expected).rstrip().splitlines()
    for number, line in enumerate(lines or [""], start=1):
        if not line.strip():
            raise DatasetError(f"{path}, line {number} is empty; expected {expected}; {SEE}")
        yield number, line.strip()


class Listing:
    """Whether paths exist, by one listing of each folder: on a network disk each file would be asked for."""

    def __init__(self) -> None:
        self._names: dict[str, frozenset[str]] = {}

    def has(self, path: str) -> bool:
        """Whether there is a file or folder of this path."""
        parent, name = os.path.split(path)
        if parent not in self._names:
            self._names[parent] = (
                frozenset(os.listdir(parent or ".")) if os.path.isdir(parent or ".") else frozenset()
            )
        return name in self._names[parent]


def read_labelled_paths(path: str, folder: str, report: Report = refuse) -> list[tuple[str, int]]:
    """(image path, label) of each line ``path label`` of a list; paths are relative to ``folder``.

    Reports: what ``labelled_lines`` does, and an image that does not exist.
    """
    images: list[tuple[str, int]] = []
    listing = Listing()
    for number, relative, label in labelled_lines(path, report):
        image = os.path.join(folder, relative)
        if listing.has(image):
            images.append((image, label))
        else:
            report(f"{path}, line {number}: {image} does not exist; is the dataset complete? {SEE}")
    return images


def scan_camera(folder: str, pids: set[int], report: Report = refuse) -> dict[int, list[str]]:
    """Sorted image paths of each of ``pids`` that has a folder ``<id:04d>`` with images in a camera's folder.

    Reports: no such camera folder, two folders of an identity.
    """
    found: dict[int, list[str]] = {}
    if not require_folder(folder, "one folder per identity (0001, 0002, ...) in it", report):
        return found
    with os.scandir(folder) as entries:
        for entry in entries:
            if is_number(entry.name) and int(entry.name) in pids and entry.is_dir():
                images = _list_images(entry.path)
                if images and int(entry.name) in found:
                    report(
                        f"{folder} has two folders of identity {int(entry.name)}, {entry.name} and one with "
                        f"other leading zeros; leave one; {SEE}"
                    )
                elif images:
                    found[int(entry.name)] = images
    return dict(sorted(found.items()))


def require_images(
    pids: set[int], found: set[int], source: str, folder: str, report: Report = refuse
) -> None:
    """Report where identities of the list ``source`` have no image."""
    missing = sorted(pids - found)
    if missing:
        report(
            f"{source} names {name_some(missing)}, of which {folder} has no image in any camera; "
            f"is the dataset complete? {SEE}"
        )


def name_some(pids: Sequence[object], most: int = 10) -> str:
    """'identity 3', 'identities 3, 5, 8' or, of many, the first few and their number."""
    noun = "identity" if len(pids) == 1 else "identities"
    shown = ", ".join(str(pid) for pid in pids[:most])
    return f"{noun} {shown}" + (f", ... ({len(pids)} in all)" if len(pids) > most else "")


def _list_images(folder: str) -> list[str]:
    names = [name for name in os.listdir(folder) if name.lower().endswith(READ_SUFFIXES) and name[0] != "."]
    return [os.path.join(folder, name) for name in sorted(names)]


def is_number(word: str) -> bool:
    """Whether a word is a number of at most nine digits, of identities and images."""
    return word.isascii() and word.isdigit() and len(word) <= 9


def _read_text(path: str, expected: str) -> str:
    fault = fault_of_file(path, MOST_BYTES)
    if fault:
        raise DatasetError(f"{path} {fault}; expected {expected}; {SEE}")
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path} cannot be read ({error}); expected {expected}; {SEE}") from error
