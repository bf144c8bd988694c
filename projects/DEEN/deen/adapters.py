"""DEEN's modules in a backbone: MODEL.ADAPTERS "MFA", "DEE" and "WithoutLastStage"."""

from typing import Any

from torch import Tensor, nn
from yacs.config import CfgNode

from deen.modules import DiverseEmbeddingExpansion, MultistageAggregation
from vireid.errors import ConfigError
from vireid.modeling.adapters import blocks_of_stage, map_shapes, put_after
from vireid.registries import ADAPTER_REGISTRY


class FromConfig:
    """An adapter that keeps the config."""

    def __init__(self, cfg: CfgNode):
        self.cfg = cfg

    @classmethod
    def from_config(cls, cfg: CfgNode) -> Any:
        return cls(cfg)


@ADAPTER_REGISTRY.register()
class DEE(FromConfig):
    """Adds two branches of each image to the batch, as the child ``dee`` of a stage's last block."""

    def insert(self, backbone: nn.Module, builder: str) -> None:
        """Put the module after MODEL.DEE.STAGE."""
        node = self.cfg.MODEL.DEE
        *_, last = blocks_of_stage(backbone, builder, node.STAGE, "DEE")
        channels = map_shapes(backbone, [last], "MODEL.DEE.STAGE")[last].output[1]
        put_after(backbone, "dee", {last: DiverseEmbeddingExpansion(channels, node.DROPOUT)})


@ADAPTER_REGISTRY.register()
class MFA(FromConfig):
    """Lets the map after a stage attend over the map before it, as the child ``mfa`` of its last block."""

    def insert(self, backbone: nn.Module, builder: str) -> None:
        """Put a module after each of MODEL.MFA.STAGES; ConfigError where DEE is there already."""
        channels_last = getattr(backbone, "channels_last_blocks", False)
        inputs, modules = StageInputs(), {}

        def keep(block: nn.Module, given: tuple[Tensor, ...]) -> None:
            inputs.append(given[0].permute(0, 3, 1, 2) if channels_last else given[0])

        for stage in self.cfg.MODEL.MFA.STAGES:
            blocks = blocks_of_stage(backbone, builder, stage, "MFA")
            shapes = map_shapes(backbone, blocks, "MODEL.MFA.STAGES")
            before, after = shapes[blocks[0]].input, shapes[blocks[-1]].output
            if before[0] != after[0]:
                raise ConfigError(
                    f"MODEL.ADAPTERS has DEE before MFA, both after stage {stage}: exchange them"
                )
            modules[blocks[-1]] = MultistageAggregation(after[1], before[1], before[2] // after[2], inputs)
            backbone.get_submodule(blocks[0]).register_forward_pre_hook(keep)
        backbone.register_forward_pre_hook(lambda *_: inputs.clear())
        put_after(backbone, "mfa", modules, self.cfg.MODEL.BACKBONE.NORM == "syncBN")


class StageInputs(list[Tensor]):
    """What the stages in flight were given, in the order in which they end: one of which each modality has a
    copy is called for each. Copies of its blocks share this object."""

    def __deepcopy__(self, memo: Any) -> "StageInputs":
        return self


@ADAPTER_REGISTRY.register()
class WithoutLastStage(FromConfig):
    """Leaves ``layer4``, the last stage of a ResNet, out, as DEEN does on RegDB."""

    def insert(self, backbone: nn.Module, builder: str) -> None:
        """Empty it; ConfigError where there is none."""
        if not hasattr(backbone, "layer4"):
            raise ConfigError(
                f"MODEL.ADAPTERS: WithoutLastStage empties layer4, which {builder} does not have"
            )
        backbone.layer4 = nn.Sequential()
