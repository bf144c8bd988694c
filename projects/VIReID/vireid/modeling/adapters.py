"""What is inserted into a backbone after its pretrained weights are loaded, named in MODEL.ADAPTERS.

An adapter is a class in ADAPTER_REGISTRY with ``from_config(cfg)`` and ``insert(backbone, builder)``, which
changes the backbone in place; ``builder`` is MODEL.BACKBONE.NAME. It may add branches of each image to the
batch: what comes in as N images goes on as N, then N of a first branch, and so on (``BatchLayout``).
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Protocol

from torch import Tensor, nn
from yacs.config import CfgNode

from vireid.errors import ConfigError
from vireid.modeling.backbones import probe_feature_map
from vireid.modeling.families import family_of
from vireid.registries import ADAPTER_REGISTRY, find

STRIDES = (4, 8, 16)  # of the stages that adapters stand in
PROBE_SIZE = (64, 64)


class Adapter(Protocol):
    """What the model asks of an adapter."""

    def insert(self, backbone: nn.Module, builder: str) -> None: ...


@ADAPTER_REGISTRY.register()
class PaddedMaxPool:
    """Pads the max-pooling of the toolkit's ResNets by 1 instead of rounding its output size up.

    So it is in torchvision, in the published AGW and MCJA, and where the pretrained weights were trained.
    Other backbones have it so, or have none.
    """

    @classmethod
    def from_config(cls, cfg: CfgNode) -> "PaddedMaxPool":
        return cls()

    def insert(self, backbone: nn.Module, builder: str) -> None:
        """Replace ``backbone.maxpool``, if there is one that rounds up."""
        pooling = getattr(backbone, "maxpool", None)
        if isinstance(pooling, nn.MaxPool2d) and pooling.ceil_mode:
            backbone.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)


def insert_adapters(cfg: CfgNode, backbone: nn.Module) -> None:
    """Insert the adapters of MODEL.ADAPTERS, in order, in place.

    Raises:
        ConfigError: an unknown name, or one that this backbone cannot have.
    """
    for name in cfg.MODEL.ADAPTERS:
        adapter: Adapter = find(ADAPTER_REGISTRY, name, "MODEL.ADAPTERS").from_config(cfg)
        adapter.insert(backbone, cfg.MODEL.BACKBONE.NAME)


def blocks_of_stage(backbone: nn.Module, builder: str, stage: int, adapter: str) -> list[str]:
    """Names of the blocks of a stage.

    Args:
        stage: 1, 2 or 3: at 1/4, 1/8 or 1/16 of the image.
        adapter: which asks, for the error.

    Raises:
        ConfigError: they pass tokens instead of maps, or are not known.
    """
    containers = family_of(builder, backbone).stages
    if containers is None:
        raise ConfigError(
            f"MODEL.ADAPTERS: {adapter} works on feature maps, and a vision transformer has none (its blocks "
            f"pass tokens, at one resolution); leave {adapter} out, or use another MODEL.BACKBONE.NAME"
        )
    stages = [blocks_of(backbone.get_submodule(name), name) for name in containers]
    if len(stages) == 1:  # one list with the blocks of all resolutions
        heights = {name: shapes.output[2] for name, shapes in probe(backbone, stages[0]).items()}
        stages = [[b for b in stages[0] if PROBE_SIZE[0] // heights[b] == stride] for stride in STRIDES]
    place = len(stages) - len(STRIDES) + stage - 1
    if place < 0 or not stages[place]:
        raise ConfigError(
            f"MODEL.ADAPTERS: {adapter} stands in stage {stage}, at 1/{STRIDES[stage - 1]} of the image, and "
            f"{builder} has no blocks there that are known; name other places under MODEL.{adapter}"
        )
    return stages[place]


def blocks_of(container: nn.Module, name: str) -> list[str]:
    """The blocks of a stage: its children of the most frequent class (OSNet's end with a transition)."""
    kinds = Counter(type(child) for child in container.children())
    if not kinds:
        raise ConfigError(f"MODEL.ADAPTERS: {name} has no blocks")
    block = kinds.most_common(1)[0][0]
    return [f"{name}.{child}" for child, module in container.named_children() if type(module) is block]


class Shapes(NamedTuple):
    """What a block takes and gives for one image: (N, C, H, W)."""

    input: tuple[int, ...]
    output: tuple[int, ...]


def map_shapes(backbone: nn.Module, names: Iterable[str], key: str) -> dict[str, Shapes]:
    """Shapes of the named blocks.

    Args:
        key: the config key that names them, for the error.

    Raises:
        ConfigError: one is not called, or gives no feature map.
    """
    found = probe(backbone, names)
    for name in names:
        if name not in found:
            raise ConfigError(f"{key} names {name!r}, which is not called itself; name one of its blocks")
        if len(found[name].output) != 4:
            raise ConfigError(f"{key} names {name!r}, whose output is no feature map (N, C, H, W)")
    if getattr(backbone, "channels_last_blocks", False):
        places = (0, 3, 1, 2)
        return {n: Shapes(*(tuple(shape[p] for p in places) for shape in pair)) for n, pair in found.items()}
    return found


def probe(backbone: nn.Module, names: Iterable[str]) -> dict[str, Shapes]:
    """What the named modules take and give, of those that are called, in the order of their memory."""
    found: dict[str, Shapes] = {}

    def record(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            found[name] = Shapes(tuple(inputs[0].shape), tuple(getattr(output, "shape", ())))

        return hook

    hooks = [backbone.get_submodule(name).register_forward_hook(record(name)) for name in names]
    probe_feature_map(backbone, getattr(backbone, "image_size", PROBE_SIZE))
    for hook in hooks:
        hook.remove()
    return found


def put_after(
    backbone: nn.Module, child: str, modules: Mapping[str, nn.Module], synchronized: bool = False
) -> None:
    """Let each of ``modules`` change the feature map that the block gives by whose name it stands.

    It becomes the block's child ``child``, so that weights of the backbone keep their names.

    Args:
        synchronized: whether norms take the statistics of all processes, as the backbone's syncBN does.
    """
    for name, module in modules.items():
        block = backbone.get_submodule(name)
        if synchronized:
            module = nn.SyncBatchNorm.convert_sync_batchnorm(module)
        block.add_module(child, module.train(block.training))
    channels_last = getattr(backbone, "channels_last_blocks", False)

    def apply(block: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        if channels_last:
            output = output.permute(0, 3, 1, 2)
        changed: Tensor = block.get_submodule(child)(output)
        return changed.permute(0, 2, 3, 1) if channels_last else changed

    # A module that calls its children in order (nn.Sequential, a stage) calls this one, too.
    called = probe(backbone, [f"{name}.{child}" for name in modules])
    for name in modules:
        if f"{name}.{child}" not in called:
            backbone.get_submodule(name).register_forward_hook(apply)
