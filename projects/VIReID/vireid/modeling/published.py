"""Checkpoints of published codes, and ours: the same tensors under other names.

A class in PUBLISHED_REGISTRY says how a code names them; ``vireid convert --from`` takes its ``name``.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import ClassVar

import torch
from fastreid.modeling import build_model
from torch import Tensor
from yacs.config import CfgNode

from vireid.config.files import full_config
from vireid.errors import CheckpointError, UserError
from vireid.registries import PUBLISHED_REGISTRY

Weights = dict[str, Tensor]
CLASSIFIER, OWN_CLASSIFIER = "classifier.weight", "heads.weight"


class PublishedCode:
    """How a published code with a ResNet-50 names the tensors of its checkpoints.

    Attributes:
        name: of the code.
        wrapper: the key of the state dict in its files; "" for none.
        classes_ascend: whether its classes are the identities in ascending order, as here.
    """

    name: ClassVar[str]
    wrapper: ClassVar[str] = "net"
    classes_ascend: ClassVar[bool] = True

    def settings(self, weights: Weights) -> list[str]:
        """The config of a checkpoint's model, of either code, and KEY VALUE pairs after it."""
        raise NotImplementedError

    def published_name(self, own: str) -> str:
        """The published name of one of our tensors."""
        raise NotImplementedError

    def unused(self) -> dict[str, Sequence[int]]:
        """Shapes of what the published code saves and never calls; names that it calls may be among them."""
        raise NotImplementedError

    def class_order(self, folder: str) -> list[int]:
        """The identity of each class, from a folder of lists of identities, where classes do not ascend."""
        raise UserError(
            f"--identities: the classes of {self.name} are the identities in ascending order, as here; leave "
            "it out"
        )


@PUBLISHED_REGISTRY.register()
class AGW(PublishedCode):
    """mangye16/Cross-Modal-Re-ID-baseline: a ResNet-50 for each stem, and one for the shared layers."""

    name = "agw"

    def settings(self, weights: Weights) -> list[str]:
        return ["vireid/sysu", "MODEL.HEADS.NAME", "GeMHead"]

    def published_name(self, own: str) -> str:
        part, _, rest = own.partition(".")
        if part == "heads":
            return CLASSIFIER if own == OWN_CLASSIFIER else rest.replace("bottleneck.0.", "bottleneck.")
        block, *path = rest.split(".")
        if block.startswith("NL_"):  # g is a module in a list of one
            return rest.replace(".g.", ".g.0.")
        if block.startswith("layer"):
            return f"base_resnet.base.{rest}"
        stem = {"visible": "visible_module.visible", "infrared": "thermal_module.thermal"}[path[0]]
        return ".".join([stem, block, *path[1:]])

    def unused(self) -> dict[str, Sequence[int]]:
        stems, shared = ("visible_module.visible", "thermal_module.thermal"), "base_resnet.base"
        return {f"{part}.{name}": shape for part in (*stems, shared) for name, shape in resnet50().items()}


@cache
def resnet50() -> dict[str, Sequence[int]]:
    """Names and shapes of the tensors of a ResNet-50 without its classifier."""
    from torchvision.models import resnet50

    with torch.device("meta"):
        state = resnet50(weights=None).state_dict()
    return {name: tuple(value.shape) for name, value in state.items() if not name.startswith("fc.")}


def model_state(code: PublishedCode, weights: Weights, source: str) -> Weights:
    """The state dict of our untrained model of the size of ``weights``, which are of either code.

    Raises:
        CheckpointError: there is no classifier in them.
    """
    classifier = weights.get(CLASSIFIER, weights.get(OWN_CLASSIFIER))
    if classifier is None or classifier.ndim != 2:
        raise CheckpointError(
            f"{source} is not a checkpoint of {code.name}: it has no {CLASSIFIER} (published) or "
            f"{OWN_CLASSIFIER} (ours), but {_listed(weights)}"
        )
    config_file, *opts = code.settings(weights)
    cfg: CfgNode = full_config(config_file, opts)
    cfg.MODEL.DEVICE, cfg.MODEL.BACKBONE.PRETRAIN = "cpu", False
    cfg.MODEL.HEADS.NUM_CLASSES = len(classifier)
    return dict(build_model(cfg).state_dict())


def from_published(code: PublishedCode, weights: Weights, own: Weights, source: str) -> Weights:
    """The state dict of our model from that of a published code.

    Args:
        own: our model's, for its names and shapes.
        source: the file, for the error.

    Raises:
        CheckpointError: lists what is missing, extra or of another shape.
    """
    expected = {code.published_name(name): value for name, value in own.items()}
    unused = code.unused().keys() - expected
    called = {name: value for name, value in weights.items() if name not in unused}
    require_fit(called, expected, source, code)
    return {name: weights[code.published_name(name)] for name in own}


def to_published(code: PublishedCode, weights: Weights, own: Weights, source: str) -> Weights:
    """The reverse of ``from_published``; what the published code never calls is zero."""
    require_fit(weights, own, source, code)
    unused = {name: torch.zeros(shape) for name, shape in code.unused().items()}
    return {**unused, **{code.published_name(name): value for name, value in weights.items()}}


def with_own_classes(weights: Weights, order: Sequence[int], source: str) -> Weights:
    """Our state dict with the rows of the classifier, which are in a published order, by ascending identity.

    Args:
        order: the identity of each published class.
        source: the file, for the error.

    Raises:
        CheckpointError: the classifier has another number of classes.
    """
    return {**weights, OWN_CLASSIFIER: weights[OWN_CLASSIFIER][_rows(weights, order, source)]}


def with_published_classes(weights: Weights, order: Sequence[int], source: str) -> Weights:
    """The reverse of ``with_own_classes``."""
    rows = _rows(weights, order, source).argsort()
    return {**weights, OWN_CLASSIFIER: weights[OWN_CLASSIFIER][rows]}


def _rows(weights: Weights, order: Sequence[int], source: str) -> Tensor:
    """(C,) the published class of each of ours."""
    classes = len(weights[OWN_CLASSIFIER])
    if classes != len(order):
        raise CheckpointError(
            f"{source} has {classes} classes, but train_id.txt and val_id.txt name {len(order)} identities: "
            "it was trained on others"
        )
    return torch.tensor(order).argsort()


def require_fit(weights: Weights, expected: Weights, source: str, code: PublishedCode) -> None:
    """Raise CheckpointError where names or shapes differ."""
    problems = {
        "missing": [name for name in expected if name not in weights],
        "not of this model": [name for name in weights if name not in expected],
        "of another shape": [
            f"{name} {tuple(weights[name].shape)} instead of {tuple(value.shape)}"
            for name, value in expected.items()
            if name in weights and weights[name].shape != value.shape
        ],
    }
    if any(problems.values()):
        found = "; ".join(
            f"{len(names)} {what}: {_listed(names)}" for what, names in problems.items() if names
        )
        raise CheckpointError(f"{source} does not fit {code.name} with ResNet-50; {found}")


def _listed(names: Iterable[str], count: int = 12) -> str:
    names = list(names)
    return ", ".join(names[:count]) + (f", ... ({len(names) - count} more)" if len(names) > count else "")
