"""The stem, the stages, the last norm and the tokens of a timm model, as timm describes them."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from vireid.errors import ConfigError

NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm)


def stem_modules(model: nn.Module) -> tuple[str, ...]:
    """The modules that each modality gets a copy of.

    timm names the first convolution. The stem is the child of the model that contains it (``stem``,
    ``conv1``), and the norm that follows this child. Where that child also contains the stages
    (``features``), the stem is the module below it. A patch embedding stays, because the model reads its
    attributes: its children are the stem.

    Returns:
        Names as in ``model.named_modules()``; none where timm does not name the first convolution.
    """
    about: Any = getattr(model, "pretrained_cfg", None) or {}
    first = about.get("first_conv")
    first = first if isinstance(first, str) else (first or ("",))[0]
    if not first or first not in dict(model.named_modules()):
        return ()
    path = first.split(".")
    depth = 1
    while depth < len(path) and (
        _holds_stages(model, path[:depth]) or "backbone" in path[depth - 1 : depth + 1]  # of a hybrid
    ):
        depth += 1
    name = ".".join(path[:depth])
    module = model.get_submodule(name)
    if path[depth - 1] in ("patch_embed", "embeds") and not isinstance(module, nn.Sequential):
        return tuple(f"{name}.{child}" for child, part in module.named_children() if [*part.parameters()])
    siblings = list(model.get_submodule(".".join(path[: depth - 1])).named_children())
    following = [child for child, _ in siblings].index(path[depth - 1]) + 1
    if following < len(siblings) and isinstance(siblings[following][1], NORMS):
        return name, ".".join([*path[: depth - 1], siblings[following][0]])
    return (name,)


def _holds_stages(model: nn.Module, path: list[str]) -> bool:
    prefix = ".".join(path) + "."
    return sum(stage["module"].startswith(prefix) for stage in _feature_info(model)) > 1


def stage_modules(model: nn.Module) -> tuple[str, ...] | None:
    """The modules that contain the blocks at 1/4, 1/8 and 1/16 of the image.

    Returns:
        Three names, or the last two; () where timm does not name them; None for a plain transformer, whose
        blocks all have one resolution.
    """
    if len({stage["reduction"] for stage in _feature_info(model)}) == 1:
        return None
    names = [_stage_module(model, reduction) for reduction in (4, 8, 16)]
    return tuple(filter(None, names)) if all(names[1:]) else ()


def _stage_module(model: nn.Module, reduction: int) -> str:
    at = [stage["module"] for stage in _feature_info(model) if stage["reduction"] == reduction]
    if len(at) != 1:
        return ""
    stage = model.get_submodule(at[0])
    if "blocks" in stage._modules:
        return f"{at[0]}.blocks"
    # A RegStage calls its children one after another, as a Sequential does.
    return at[0] if isinstance(stage, nn.Sequential) or type(stage).__name__.endswith("Stage") else ""


def _feature_info(model: nn.Module) -> list[dict[str, Any]]:
    known = dict(model.named_modules())
    info: Any = getattr(model, "feature_info", None) or []
    return [stage for stage in info if isinstance(stage, dict) and stage.get("module") in known]


def final_norm(model: nn.Module) -> str:
    """The name of the layer norm that timm's classifier applies to the mean feature; "" for none."""
    if isinstance(getattr(model, "fc_norm", None), nn.LayerNorm):
        return "fc_norm"
    if isinstance(getattr(getattr(model, "head", None), "norm", None), nn.LayerNorm):
        return "head.norm"
    return ""


def grid_of(model: nn.Module, name: str, tokens: int, image_size: Sequence[int]) -> tuple[int, int]:
    """(rows, columns) of the patch tokens of images of (height, width).

    Raises:
        ConfigError: the tokens are no grid of patches.
    """
    height, width = (int(side) for side in image_size)
    embed: Any = getattr(model, "patch_embed", None)
    strides = [
        getattr(embed, "patch_size", None),
        *(stage["reduction"] for stage in _feature_info(model)[-1:]),
    ]
    pairs = [s if isinstance(s, list | tuple) else (s, s) for s in strides if s is not None]
    whole = [(height // rows, width // columns) for rows, columns in pairs]
    padded = [(-(-height // rows), -(-width // columns)) for rows, columns in pairs]
    for rows, columns in (*whole, *padded):
        if rows * columns == int(tokens):
            return rows, columns
    raise ConfigError(
        f"MODEL.BACKBONE.TIMM.NAME is {name!r}, whose {int(tokens)} tokens for images of {height}x{width} "
        "are no grid of patches"
    )
