"""Training and test sets that have an identity or an image in common; only lists are compared."""

from collections.abc import Hashable
from os.path import basename, dirname, normpath
from typing import Any

from vireid.data.datasets.lists import SEE, name_some
from vireid.errors import DatasetError


def folder_identity(path: str) -> Hashable:
    """The identity that an image's folder is named after, a number where it is one."""
    name = basename(dirname(path))
    return int(name) if name.isascii() and name.isdigit() else name


def check_separation(trained: Any, tested: Any) -> None:
    """Refuse a test set whose images or identities are trained on.

    Args:
        trained: a dataset, ours or the toolkit's; its ``train`` is used.
        tested: one of ours; its ``test`` is used. Identities are compared where both are of one class.

    Raises:
        DatasetError: names and counts what is in both.
    """
    identity = getattr(tested, "identity", None) if type(trained) is type(tested) else None
    fault = shared_fault(trained.train, tested.test, identity)
    if fault:
        names = dict.fromkeys(type(dataset).__name__ for dataset in (trained, tested))
        raise DatasetError(f"{' and '.join(names)}: {fault}; {SEE}")


def shared_fault(train: Any, test: Any, identity: Any = None) -> str:
    """What a list of training and a list of test items have in common; empty where there is nothing.

    Args:
        identity: from an item to who it shows, or None where that is not known.
    """
    of_test = {normpath(item[0]) for item in test}
    images = list(dict.fromkeys(path for item in train if (path := normpath(item[0])) in of_test))
    pids = set(map(identity, train)) & set(map(identity, test)) - {None} if identity else set()
    parts = []
    if pids:
        parts.append(f"{len(pids)} of the test identities ({name_some(sorted(pids, key=by_number))})")
    if images:
        parts.append(f"{len(images)} of the test images ({images[0]}{', ...' if len(images) > 1 else ''})")
    if not parts:
        return ""
    return f"{' and '.join(parts)} are also in the training set: take them out of one of the two"


def by_number(pid: Any) -> tuple[bool, Any]:
    """A key that sorts identities: numbers, then names."""
    return isinstance(pid, str), pid
