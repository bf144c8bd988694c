"""PMCM: patch-mixed cross-modality learning (Qian, Lin, Du: arXiv 2302.08212)."""

from pmcm.config import add_pmcm_config
from pmcm.patch_mix import patch_mix
from vireid import host

__all__ = ["add_pmcm_config", "patch_mix"]

if host.is_ready():
    from pmcm import losses, part_head, patch_mix_batch  # noqa: F401  (registration)
