"""MCJA: multi-level cross-modality joint alignment (Liang et al.: arXiv 2307.08316; IEEE TCSVT 2024)."""

from mcja.cmr_loss import CrossModalityRetrievalLoss
from mcja.config import add_mcja_config
from mcja.mda import ModalityDistributionAdapter
from mcja.multi_spectral import multi_spectral_rerank
from mcja.ranks import soft_rank
from vireid import host

__all__ = [
    "CrossModalityRetrievalLoss",
    "ModalityDistributionAdapter",
    "add_mcja_config",
    "multi_spectral_rerank",
    "soft_rank",
]

if host.is_installed():
    from mcja import adapters, head, mser, published, vimc  # noqa: F401  (registration)
