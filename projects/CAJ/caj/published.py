"""How the published code of CAJ names the tensors of its checkpoints."""

from torch import Tensor

from vireid.modeling.published import AGW
from vireid.registries import PUBLISHED_REGISTRY


@PUBLISHED_REGISTRY.register()
class CAJ(AGW):
    """ICCV21_CAJ of mangye16/Cross-Modal-Re-ID-baseline, which has AGW's network."""

    name = "caj"

    def settings(self, weights: dict[str, Tensor]) -> list[str]:
        return ["caj/sysu"]
