"""MCJA's modality distribution adapters in a backbone: MODEL.ADAPTERS "MDA"."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from yacs.config import CfgNode

from mcja.mda import ModalityDistributionAdapter
from vireid.errors import ConfigError
from vireid.modeling.backbones import probe_feature_map
from vireid.modeling.families import family_of
from vireid.registries import ADAPTER_REGISTRY

COUNTS = (2, 3)  # adapters stand after the last 2 blocks of stage 2 and the last 3 of stage 3
STRIDES = (8, 16)  # of these stages
PROBE_SIZE = (64, 64)


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
        shapes = probe(backbone, blocks)
        channels_last = getattr(backbone, "channels_last_blocks", False)
        for name in blocks:
            if name not in shapes:
                raise ConfigError(
                    f"MODEL.MDA.STAGES names {name!r}, which is not called itself; name one of its blocks"
                )
            if len(shapes[name]) != 4:
                raise ConfigError(
                    f"MODEL.MDA.STAGES names {name!r}, whose output is no feature map (N, C, H, W)"
                )
            channels, block = shapes[name][3 if channels_last else 1], backbone.get_submodule(name)
            adapter: nn.Module = ModalityDistributionAdapter(channels, self.modalities)
            if self.synchronized:
                adapter = nn.SyncBatchNorm.convert_sync_batchnorm(adapter)
            block.mda = adapter.train(block.training)
        # A module that calls its children in order (nn.Sequential, a stage) calls the adapter, too.
        called = probe(backbone, [f"{name}.mda" for name in blocks])
        for name in blocks:
            if f"{name}.mda" not in called:
                hook = apply_adapter_channels_last if channels_last else apply_adapter
                backbone.get_submodule(name).register_forward_hook(hook)


def apply_adapter(block: Any, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    """Forward hook of an adapted block."""
    adapted: Tensor = block.mda(output)
    return adapted


def apply_adapter_channels_last(block: Any, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    """Forward hook of an adapted block whose output is (N, H, W, C)."""
    adapted: Tensor = block.mda(output.permute(0, 3, 1, 2))
    return adapted.permute(0, 2, 3, 1)


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
    containers = family_of(builder, backbone).stages
    if containers is None:
        raise ConfigError(
            "MODEL.ADAPTERS: MDA attends over feature maps, and a vision transformer has none (its blocks "
            "pass tokens, at one resolution); leave MDA out, or use another MODEL.BACKBONE.NAME"
        )
    if not containers:
        raise ConfigError(
            f"MODEL.MDA.STAGES ['auto']: the stages of {builder} are not known; name its containers and "
            "counts instead, as in [['layer2', 2], ['layer3', 3]]"
        )
    stages = [blocks_of(backbone.get_submodule(name), name) for name in containers]
    if len(stages) == 1:  # one list with the blocks of all resolutions
        shapes = probe(backbone, stages[0])
        stages = [[b for b in stages[0] if PROBE_SIZE[0] // shapes[b][2] == stride] for stride in STRIDES]
    return [name for stage, count in zip(stages, COUNTS) for name in stage[-count:]]


def blocks_of(container: nn.Module, name: str) -> list[str]:
    """The blocks of a stage: its children of the most frequent class (OSNet's end with a transition)."""
    children = dict(container.named_children())
    if not children:
        raise ConfigError(f"MODEL.MDA.STAGES: {name} has no blocks")
    block = Counter(type(child) for child in children.values()).most_common(1)[0][0]
    return [f"{name}.{child}" for child, module in children.items() if type(module) is block]


def probe(backbone: nn.Module, names: list[str]) -> dict[str, tuple[int, ...]]:
    """Shapes of the outputs of the named modules for one image, of those that are called."""
    shapes: dict[str, tuple[int, ...]] = {}

    def record(name: str) -> Any:
        return lambda module, inputs, output: shapes.update({name: tuple(getattr(output, "shape", ()))})

    hooks = [backbone.get_submodule(name).register_forward_hook(record(name)) for name in names]
    probe_feature_map(backbone, getattr(backbone, "image_size", PROBE_SIZE))
    for hook in hooks:
        hook.remove()
    return shapes


def _container(entry: Any) -> tuple[str, int]:
    if isinstance(entry, list | tuple) and len(entry) == 2:
        name, count = entry
        if isinstance(name, str) and isinstance(count, int) and count > 0:
            return name, count
    raise ConfigError(
        f"MODEL.MDA.STAGES has {entry!r}; expected 'auto', a module's name, or [container, number of blocks]"
    )
