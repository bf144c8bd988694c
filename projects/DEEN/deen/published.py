"""How the published code of DEEN names the tensors of its checkpoints."""

import re

from torch import Tensor

from vireid.modeling.published import AGW
from vireid.registries import PUBLISHED_REGISTRY


@PUBLISHED_REGISTRY.register()
class DEEN(AGW):
    """DEEN of ZYK100/LLCM."""

    name = "deen"

    def settings(self, weights: dict[str, Tensor]) -> list[str]:
        whole = any(re.match(r"MFA3\.|backbone\.layer3\.\d\.mfa", name) for name in weights)
        return ["deen/sysu" if whole else "deen/regdb"]

    def published_name(self, own: str) -> str:
        name = re.sub(r"backbone\.layer(\d)\.\d\.mfa\.", r"MFA\1.", own)
        name = re.sub(r"backbone\.layer\d\.\d\.dee\.", "DEE.", name)
        return name if name != own else super().published_name(own)
