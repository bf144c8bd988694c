"""Visible-infrared person re-identification for FastReID.

``import vireid`` mends the toolkit for a current Python and PyTorch (``vireid.host``) and registers
the datasets, models and losses in the toolkit's registries. It may come before or after
``import fastreid``. Without FastReID only ``vireid.evaluation`` works;
a warning then says how to install it.
"""

from vireid import host
from vireid.config import add_vireid_config
from vireid.modality import Modality

__all__ = ["Modality", "add_vireid_config"]

if host.prepare():
    from vireid import data, engine, modeling  # noqa: F401  (registration)
