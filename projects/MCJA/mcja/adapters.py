"""What MCJA changes in a backbone: modality distribution adapters, and the padded max-pooling."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn
from yacs.config import CfgNode

from mcja.mda import ModalityDistributionAdapter
from vireid.errors import ConfigError
from vireid.modeling.adapters import ADAPTER_REGISTRY
from vireid.modeling.backbones import feature_map_size

# Adapters stand after the last 2 blocks of stage 2 and the last 3 of stage 3, where a stage is what has
# one resolution: 1/8 and 1/16 of the image (in EfficientNet the second of two parts at 1/16).
COUNTS = (2, 3)
STAGES: dict[str, tuple[str, str]] = {
    "build_resnet_backbone": ("layer2", "layer3"),
    "build_small_resnet_backbone": ("layer2", "layer3"),
    "build_resnext_backbone": ("layer2", "layer3"),
    "build_resnest_backbone": ("layer2", "layer3"),
    "build_osnet_backbone": ("conv3", "conv4"),
    "build_regnet_backbone": ("s2", "s3"),
    "build_effnet_backbone": ("s3", "s5"),
    "build_repvgg_backbone": ("stage2", "stage3"),
}
# Backbones whose blocks of all resolutions are in one list.
FLAT: dict[str, str] = {
    "build_shufflenetv2_backbone": "features",
    "build_mobilenetv2_backbone": "features",
    "build_mobilenetv3_backbone": "features",
}
PROBE_SIZE = (64, 64)


@ADAPTER_REGISTRY.register()
def MDA(cfg: CfgNode, backbone: nn.Module) -> None:
    """Insert a ModalityDistributionAdapter after each block that MODEL.MDA.STAGES names, as its child
    ``mda``: the backbone's own weights keep their names, and its output is unchanged at the start.

    Raises:
        ConfigError: a backbone without stages, or a name that is not one of its modules.
    """
    modalities = cfg.MODEL.MDA.MODALITIES
    if modalities < 1:
        raise ConfigError(f"MODEL.MDA.MODALITIES is {modalities}; expected a number of maps, 1 or more")
    blocks = adapted_blocks(backbone, cfg.MODEL.BACKBONE.NAME, cfg.MODEL.MDA.STAGES)
    shapes = probe(backbone, blocks)
    channels_last = getattr(backbone, "channels_last_blocks", False)
    for name in blocks:
        if name not in shapes:
            raise ConfigError(
                f"MODEL.MDA.STAGES names {name!r}, which is not called itself; name one of its blocks"
            )
        if len(shapes[name]) != 4:
            raise ConfigError(f"MODEL.MDA.STAGES names {name!r}, whose output is no feature map (N, C, H, W)")
        channels = shapes[name][3 if channels_last else 1]
        backbone.get_submodule(name).mda = ModalityDistributionAdapter(channels, modalities)
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


@ADAPTER_REGISTRY.register()
def PaddedMaxPool(cfg: CfgNode, backbone: nn.Module) -> None:
    """Pad the max-pooling of the toolkit's ResNet by 1 instead of rounding its size up: so it is in the
    published MCJA, and where the pretrained weights come from. Other backbones have it so, or have none.
    """
    pooling = getattr(backbone, "maxpool", None)
    if isinstance(pooling, nn.MaxPool2d) and pooling.ceil_mode:
        backbone.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)


def adapted_blocks(backbone: nn.Module, builder: str, stages: Iterable[Any]) -> list[str]:
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
    own = getattr(backbone, "stage_modules", ())  # of a backbone that knows its stages; None: it has none
    if builder in ("build_vit_backbone", "build_vit_map_backbone") or own is None:
        raise ConfigError(
            "MODEL.ADAPTERS: MDA attends over feature maps, and a vision transformer has none (its blocks "
            "pass tokens, at one resolution); leave MDA out, or use another MODEL.BACKBONE.NAME"
        )
    if own or builder in STAGES:
        containers = own or STAGES[builder]
        stages = [blocks_of(backbone.get_submodule(name), name) for name in containers]
    elif builder in FLAT:
        blocks = blocks_of(backbone.get_submodule(FLAT[builder]), FLAT[builder])
        shapes = probe(backbone, blocks)
        stages = [[b for b in blocks if PROBE_SIZE[0] // shapes[b][2] == stride] for stride in (8, 16)]
    else:
        raise ConfigError(
            f"MODEL.MDA.STAGES ['auto']: the stages of {builder} are not known; name its containers and "
            "counts instead, as in [['layer2', 2], ['layer3', 3]]"
        )
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
    feature_map_size(backbone, getattr(backbone, "image_size", PROBE_SIZE))
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
