"""How the published code of DEEN names the tensors of its checkpoints."""

import re

from torch import Tensor

from vireid.export.published import AGW
from vireid.registries import PUBLISHED_REGISTRY


@PUBLISHED_REGISTRY.register()
class DEEN(AGW):
    """DEEN of ZYK100/LLCM."""

    name = "deen"

    def settings(self, weights: dict[str, Tensor]) -> list[str]:
        of_regdb = not any(re.match(r"MFA3\.|backbone\.layer3\.\d\.mfa", name) for name in weights)
        return ["deen/regdb" if of_regdb else "deen/sysu"]

    def published_name(self, own: str) -> str:
        module = re.fullmatch(r"backbone\.layer(\d)\.\d\.(mfa|dee)\.(.+)", own)
        if not module:
            return super().published_name(own)
        stage, kind, rest = module.groups()
        return f"MFA{stage}.{rest}" if kind == "mfa" else f"DEE.{rest}"
