"""Stores of embeddings, and which kind an address names.

A store is a class with the methods of ``vireid.inference.stores.protocol.Store``; a new one is a module here,
and an entry in KINDS.
"""

import importlib
from pathlib import Path

from vireid.errors import StoreError, UserError
from vireid.inference.records import About
from vireid.inference.stores.protocol import Store

# What stands before :// in an address, or the end of a file's name -> the module, and its class. What is
# neither is a folder.
LANCE, MILVUS = "lance.LanceStore", "milvus.MilvusStore"
KINDS = {
    "http": MILVUS,
    "https": MILVUS,
    ".db": MILVUS,
    "s3": LANCE,
    "gs": LANCE,
    "az": LANCE,
}


def open_store(
    address: str | Path, about: About | None = None, *, create: bool = False, exact_up_to: int | None = None
) -> Store:
    """Open a store.

    Args:
        address: a folder; ``s3://bucket/folder`` and the like, for LanceDB as well;
            ``http://host:19530/name``, a collection of a Milvus server (``name`` is "vireid" where there is
            none); or a file ``*.db``, the same in Milvus Lite.
        about: the model that will be used with it; None: any.
        create: where there is none, the first ``Store.writing`` makes it, which needs ``about``.
        exact_up_to: images up to which every search is exact; None: as it was, or the default of its kind.

    Raises:
        StoreError: there is none, or it is damaged, of another model, of an unknown kind, or does not answer.
        UserError: ``exact_up_to`` is negative.
    """
    if exact_up_to is not None and exact_up_to < 0:
        raise UserError(f"exact_up_to is {exact_up_to}; expected 0 or more")
    text = str(address)
    scheme, separator, _ = text.partition("://")
    if separator and scheme not in KINDS:
        known = ", ".join(f"{name}://" for name in KINDS if not name.startswith("."))
        raise StoreError(f"{text}: a store is a folder, a file *.db, or begins with one of {known}")
    module, kind = KINDS.get(scheme if separator else Path(text).suffix, LANCE).split(".")
    opened: Store = getattr(importlib.import_module(f"{__name__}.{module}"), kind)(
        text, about, create=create, exact_up_to=exact_up_to
    )
    return opened
