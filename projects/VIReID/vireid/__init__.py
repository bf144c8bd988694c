"""Visible-infrared person re-identification for FastReID.

``import vireid`` may come before or after ``import fastreid``. As soon as both are imported, the toolkit is
mended for a current Python and PyTorch (``vireid.host``), and the datasets, models, losses and other
parts are registered. Without FastReID only ``vireid.evaluation`` works; a warning then says how to
install it.
"""

import importlib
from typing import Any

from vireid import host
from vireid.config import add_vireid_config
from vireid.modality import Modality

__all__ = ["Embedder", "Gallery", "Modality", "add_vireid_config"]

_PACKAGES = ("data", "modeling", "engine")


def _register() -> None:
    for package in _PACKAGES:
        importlib.import_module(f"vireid.{package}")


def __getattr__(name: str) -> Any:
    # vireid.data and its siblings import the toolkit: not before they are asked for.
    if name in _PACKAGES:
        return importlib.import_module(f"vireid.{name}")
    if name in ("Embedder", "Gallery"):
        return getattr(importlib.import_module("vireid.inference"), name)
    raise AttributeError(f"module 'vireid' has no attribute {name!r}")


host.on_import(_register)
