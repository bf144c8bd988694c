"""Two streams over any backbone: shallow modules of each modality's own, the rest shared."""

from collections.abc import Sequence
from copy import deepcopy
from itertools import zip_longest
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vireid.errors import ConfigError
from vireid.modality import Modality
from vireid.modeling.batch_layout import BatchLayout
from vireid.modeling.families import family_of
from vireid.precision import autocast


class ModalityRoute(nn.Module):
    """Stands in a backbone for one module and sends each modality's images to its own copy of it.

    Args:
        module: the module replaced; every copy starts from its weights.
        layout: the batch's layout, shared with the meta-architecture.
        mixed_stem: which copy MIXED images go through: "visible", "infrared" or "own". Images of two
            modalities that share a copy go through it together, so its batch norm sees both. "patches": each
            patch has what the copy of its own modality makes of the image that it was taken from.
    """

    def __init__(self, module: nn.Module, layout: BatchLayout, mixed_stem: str = "visible"):
        super().__init__()
        self.layout = layout
        self.visible = module
        self.infrared = deepcopy(module)
        if mixed_stem == "own":
            self.mixed = deepcopy(module)
        mixed_copy = "mixed" if mixed_stem == "own" else mixed_stem
        self.copy_of = {
            Modality.VISIBLE: "visible",
            Modality.INFRARED: "infrared",
            Modality.MIXED: mixed_copy,
        }
        self.stitches = mixed_stem == "patches"

    @property
    def deploying(self) -> bool:
        """Whether the copies of a RepVGG module are fused.

        RepVGG's ``deploy`` calls ``deploy`` of each child that has this attribute. A route to a module of
        another kind raises AttributeError here, and so does not have it.
        """
        visible: Any = self.visible
        return bool(visible.deploying)

    def deploy(self, mode: bool = False) -> None:
        """Fuse the copies of a RepVGG module, each with its own batch norm."""
        copies: Any = self.children()
        for copy in copies:
            copy.deploy(mode)

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, ...), images ordered as the layout says, or branch after branch of them -> likewise."""
        layout = self.layout
        images = sum(layout.sizes)
        if layout.branches > 1 and len(x) == layout.branches * images:
            return layout.by_branch(self._of_modalities(layout.by_modality(x), layout.with_branches()))
        if images != len(x):
            raise RuntimeError(
                f"a two-stream backbone got {len(x)} images where the batch layout has {layout.sizes}: "
                "call it through the meta-architecture, which sets the layout"
            )
        return self._of_modalities(x, layout)

    def _of_modalities(self, x: Tensor, layout: BatchLayout) -> Tensor:
        if not self.stitches:
            return self._through_copies(x, layout)
        *_, mixed = layout.sizes
        originals = self._through_copies(x[: len(x) - mixed], layout, Modality.MIXED)
        if not mixed:
            return originals
        branches = originals.chunk(len(originals) // (len(x) - mixed))
        return torch.cat([part for branch in branches for part in (branch, self._stitched(branch, layout))])

    def _through_copies(self, x: Tensor, layout: BatchLayout, left_out: Modality | None = None) -> Tensor:
        """Each modality's images through its copy; a copy that adds branches gives branch after branch."""
        # By name: torch.compile cannot use a member of an IntEnum as an index.
        sizes = dict(zip(Modality, layout.sizes))
        present = [modality for modality in layout.computed if modality != left_out]
        names = list(dict.fromkeys(self.copy_of[modality] for modality in present))
        if len(names) == 1:
            return self.get_submodule(names[0])(x)
        slices = dict(zip(present, x.split([sizes[modality] for modality in present])))
        outputs: dict[Modality, tuple[Tensor, ...]] = {}  # of each branch
        for name in names:
            members = [modality for modality in present if self.copy_of[modality] == name]
            joined = torch.cat([slices[m] for m in members]) if len(members) > 1 else slices[members[0]]
            copy = self.get_submodule(name)
            out = copy(joined) if len(joined) else of_no_image(copy, joined)
            branches = out.chunk(len(out) // max(1, len(joined)) or 1)
            outputs.update(zip(members, zip(*(part.split([sizes[m] for m in members]) for part in branches))))
        dtype = next(out.dtype for out, *_ in outputs.values() if len(out))
        branched = zip_longest(*(outputs[modality] for modality in present))
        return torch.cat([out.to(dtype) for branch in branched for out in branch if out is not None])

    def _stitched(self, features: Tensor, layout: BatchLayout) -> Tensor:
        """(N, C, H, W) of the originals -> (M, C, H, W) of the mixed images."""
        sources, mask = layout.mixed_sources, layout.mixed_mask
        if sources is None or mask is None or features.ndim != 4:
            raise RuntimeError(
                'MODEL.TWO_STREAM.MIXED_STEM "patches" needs mixed images with their masks, as PatchMix '
                "gives them, and a stem that gives a feature map; set it to own"
            )
        places = F.interpolate(mask.to(features.dtype), features.shape[2:]).bool()
        return torch.where(places, features[sources[:, 0]], features[sources[:, 1]])


def for_each_stream(model: nn.Module, weights: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """The weights of a network of one stream as those of ``model``: each copy has what stands in its place.

    Returns:
        The weights; and the names of the modules whose copies were filled.
    """
    spread, filled = dict(weights), []
    for name, route in model.named_modules():
        if not isinstance(route, ModalityRoute):
            continue
        single = [key for key in route.visible.state_dict() if f"{name}.{key}" in weights]
        for key in single:
            value = spread.pop(f"{name}.{key}")
            spread.update({f"{name}.{copy}.{key}": value for copy, _ in route.named_children()})
        filled += [name] if single else []
    return spread, filled


def of_no_image(module: nn.Module, empty: Tensor) -> Tensor:
    """What a module makes of (0, ...), in float32.

    It is called where a norm asks all processes for its statistics (SyncBN). Of images such a norm sends sums
    in float32, of no image zeros in the type of its input, which autocast would change.
    """
    with autocast(empty.device.type, enabled=False):
        out: Tensor = module(empty.float())
    return out


def split_streams(
    backbone: nn.Module,
    builder: str,
    specific: Sequence[str],
    mixed_stem: str,
    layout: BatchLayout,
) -> tuple[str, ...]:
    """Replace modules of ``backbone``, in place, by routes with a copy for each modality.

    Args:
        backbone: any of the toolkit's, with its pretrained weights already loaded.
        builder: MODEL.BACKBONE.NAME, by which "auto" finds the stem.
        specific: MODEL.TWO_STREAM.SPECIFIC; names as in ``backbone.named_modules()``. A stage that is a list
            of blocks, such as "layer1" of ResNet, stands for its blocks: the toolkit counts and indexes them.
        mixed_stem: MODEL.TWO_STREAM.MIXED_STEM.
        layout: shared by the routes.

    Returns:
        The names of the modules replaced.

    Raises:
        ConfigError: no stem known for this backbone, no module of that name, or one within another.
    """
    stem = family_of(builder, backbone).stem
    names = tuple(specific)
    if names == ("auto",):
        names = stem
        if not names:
            children = [name for name, _ in backbone.named_children()]
            raise ConfigError(
                f"MODEL.TWO_STREAM.SPECIFIC ('auto',): the stem of {builder} is not known; name its "
                f"modules instead (it has {', '.join(children)}), or () for one stream"
            )
    modules = dict(backbone.named_modules())
    for name in names:
        if name not in modules or not name:
            raise ConfigError(
                f"MODEL.TWO_STREAM.SPECIFIC names {name!r}, which {builder} does not have; its modules "
                f"are {', '.join(child for child, _ in backbone.named_children())} and those below them"
            )
        outer = [other for other in names if name.startswith(f"{other}.")]
        if outer:
            raise ConfigError(
                f"MODEL.TWO_STREAM.SPECIFIC names {outer[0]!r} and {name!r}, which is within it; "
                "leave one out"
            )
    names = tuple(
        block for name in names for block in ([name] if name in stem else _blocks(name, modules[name]))
    )
    for name in names:
        parent, _, child = name.rpartition(".")
        setattr(backbone.get_submodule(parent), child, ModalityRoute(modules[name], layout, mixed_stem))
    return names


def _blocks(name: str, module: nn.Module) -> list[str]:
    """The names of the modules that a list of modules holds; of another module, its own."""
    if not isinstance(module, nn.Sequential | nn.ModuleList):
        return [name]
    return [f"{name}.{child}" for child, _ in module.named_children()]
