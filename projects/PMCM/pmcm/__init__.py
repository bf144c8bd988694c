"""PMCM: patch-mixed cross-modality learning (Qian, Lin, Du: arXiv 2302.08212)."""

from pmcm import losses  # noqa: F401  (registration)
from pmcm.config import add_pmcm_config
from pmcm.mixing import patch_mix
from vireid import host

__all__ = ["add_pmcm_config", "patch_mix"]

if host.is_installed():
    from pmcm import part_head  # noqa: F401  (registration)
