"""CAJ: channel augmented joint learning (Ye et al., ICCV 2021)."""

from caj.config import add_caj_config
from vireid import host

__all__ = ["add_caj_config"]

if host.is_installed():
    from caj import losses, published, transforms  # noqa: F401  (registration)
