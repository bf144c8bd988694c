"""MCJA's modality distribution adapters in a backbone: MODEL.ADAPTERS "MDA"."""

from collections.abc import Sequence
from typing import Any

from torch import nn
from yacs.config import CfgNode

from mcja.mda import ModalityDistributionAdapter
from vireid.errors import ConfigError
from vireid.modeling.adapters import blocks_of, blocks_of_stage, map_shapes, put_after
from vireid.registries import ADAPTER_REGISTRY


@ADAPTER_REGISTRY.register()
class MDA:
    """Inserts a ModalityDistributionAdapter after some blocks, each as the block's child ``mda``: the
    backbone's own weights keep their names, and its output is unchanged at the start.

    Args:
        modalities: number of attention maps of each adapter.
        stages: MODEL.MDA.STAGES, which names the blocks.
        synchronized: whether the norms take the statistics of all processes, as the backbone's syncBN does.
    """

    def __init__(self, modalities: int, stages: Sequence[Any] = ("auto",), synchronized: bool = False):
        self.modalities, self.stages, self.synchronized = modalities, stages, synchronized

    @classmethod
    def from_config(cls, cfg: CfgNode) -> "MDA":
        modalities = cfg.MODEL.MDA.MODALITIES
        if modalities < 1:
            raise ConfigError(f"MODEL.MDA.MODALITIES is {modalities}; expected a number of maps, 1 or more")
        return cls(modalities, cfg.MODEL.MDA.STAGES, cfg.MODEL.BACKBONE.NORM == "syncBN")

    def insert(self, backbone: nn.Module, builder: str) -> None:
        """Put the adapters into ``backbone``, which MODEL.BACKBONE.NAME ``builder`` made.

        Raises:
            ConfigError: a backbone without stages, or a name that is not one of its modules.
        """
        blocks = adapted_blocks(backbone, builder, self.stages)
        shapes = map_shapes(backbone, blocks, "MODEL.MDA.STAGES")
        adapters = {
            name: ModalityDistributionAdapter(shapes[name].output[1], self.modalities) for name in blocks
        }
        put_after(backbone, "mda", adapters, self.synchronized)


def adapted_blocks(backbone: nn.Module, builder: str, stages: Sequence[Any]) -> list[str]:
    """Names of the blocks that MODEL.MDA.STAGES means, in order, each once."""
    modules = dict(backbone.named_modules())
    names: list[str] = []
    for entry in stages:
        if entry == "auto":
            names += default_blocks(backbone, builder)
            continue
        name, count = (entry, 0) if isinstance(entry, str) else _container(entry)
        if name not in modules or not name:
            raise ConfigError(
                f"MODEL.MDA.STAGES names {name!r}, which {builder} does not have; its modules are "
                f"{', '.join(child for child, _ in backbone.named_children())} and those below them"
            )
        names += blocks_of(modules[name], name)[-count:] if count else [name]
    return list(dict.fromkeys(names))


def default_blocks(backbone: nn.Module, builder: str) -> list[str]:
    """The last 2 blocks of stage 2 and the last 3 of stage 3, or as many as there are."""
    stages = ((2, 2), (3, 3))
    return [name for n, count in stages for name in blocks_of_stage(backbone, builder, n, "MDA")[-count:]]


def _container(entry: Any) -> tuple[str, int]:
    if isinstance(entry, list | tuple) and len(entry) == 2:
        name, count = entry
        if isinstance(name, str) and isinstance(count, int) and count > 0:
            return name, count
    raise ConfigError(
        f"MODEL.MDA.STAGES has {entry!r}; expected 'auto', a module's name, or [container, number of blocks]"
    )
