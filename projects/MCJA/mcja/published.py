"""Checkpoints of the published MCJA code, and ours: the same tensors under other names."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from vireid.data.datasets.reading import name_some, read_id_list
from vireid.errors import CheckpointError, DatasetError
from vireid.modeling.weight_files import read_state_dict

# The block behind which the first adapter of a stage of ResNet-50 stands.
FIRST_ADAPTED = {"2": 2, "3": 3}
# The ImageNet classifier that the published backbone still holds; it is never called.
UNUSED = {"backbone.fc.weight": (1000, 2048), "backbone.fc.bias": (1000,)}


def published_name(name: str) -> str:
    """The name of one of our tensors in the published code.

    backbone.layer2.3.mda.sc_conv.weight -> MDA_2.1.sc_conv.weight; heads.bottleneck.0.* -> bn_neck.*;
    heads.weight -> classifier.weight; the rest of the backbone is named alike.
    """
    adapter = re.fullmatch(r"backbone\.layer([23])\.(\d+)\.mda\.(.+)", name)
    if adapter:
        stage, block, rest = adapter.groups()
        return f"MDA_{stage}.{int(block) - FIRST_ADAPTED[stage]}.{rest}"
    if name == "heads.weight":
        return "classifier.weight"
    return re.sub(r"^heads\.bottleneck\.0\.", "bn_neck.", name)


def from_published(weights: dict[str, Tensor], own: dict[str, Tensor], source: str) -> dict[str, Tensor]:
    """The state dict of our model from that of the published code.

    Args:
        weights: of the published code; backbone.fc.* is dropped.
        own: our model's, for its names and shapes.
        source: the file, for the error.

    Raises:
        CheckpointError: lists what is missing, extra or of another shape.
    """
    weights = {name: value for name, value in weights.items() if name not in UNUSED}
    require_fit(weights, {published_name(name): value for name, value in own.items()}, source)
    return {name: weights[published_name(name)] for name in own}


def to_published(weights: dict[str, Tensor], own: dict[str, Tensor], source: str) -> dict[str, Tensor]:
    """The reverse of ``from_published``; backbone.fc.*, which nothing calls, is zero."""
    require_fit(weights, own, source)
    unused = {name: torch.zeros(shape) for name, shape in UNUSED.items()}
    return {**{published_name(name): value for name, value in weights.items()}, **unused}


def class_order(folder: str | Path) -> list[int]:
    """The identity of each class of a network that the published code trained on SYSU-MM01.

    The published code counts the identities of train_id.txt as they stand there, then those of val_id.txt;
    here, classes are the identities of both in ascending order.

    Args:
        folder: holds the two lists, the dataset's exp/.

    Raises:
        DatasetError: a list cannot be read, or an identity is named twice.
    """
    order = [
        pid for name in ("train_id.txt", "val_id.txt") for pid in read_id_list(os.path.join(folder, name))
    ]
    twice = sorted(pid for pid, number in Counter(order).items() if number > 1)
    if twice:
        raise DatasetError(f"{folder}: train_id.txt and val_id.txt name {name_some(twice)} more than once")
    return order


def with_own_classes(weights: dict[str, Tensor], order: Sequence[int], source: str) -> dict[str, Tensor]:
    """Our state dict with the rows of heads.weight, which are in the published order, by ascending identity.

    Args:
        order: of ``class_order``.
        source: the file, for the error.

    Raises:
        CheckpointError: the classifier has another number of classes.
    """
    rows = _rows(weights, order, source)
    return {**weights, "heads.weight": weights["heads.weight"][rows]}


def with_published_classes(
    weights: dict[str, Tensor], order: Sequence[int], source: str
) -> dict[str, Tensor]:
    """The reverse of ``with_own_classes``."""
    rows = _rows(weights, order, source)
    return {**weights, "heads.weight": weights["heads.weight"][rows.argsort()]}


def _rows(weights: dict[str, Tensor], order: Sequence[int], source: str) -> Tensor:
    """(C,) the published class of each of ours."""
    if len(weights["heads.weight"]) != len(order):
        raise CheckpointError(
            f"{source} has {len(weights['heads.weight'])} classes, but train_id.txt and val_id.txt name "
            f"{len(order)} identities: it was trained on others"
        )
    return torch.tensor(order).argsort()


def model_size(weights: dict[str, Tensor], source: str) -> tuple[int, int]:
    """Number of identities and of attention maps (0 without MDA) of either kind of state dict.

    Raises:
        CheckpointError: there is no classifier.
    """
    classifier = weights.get("classifier.weight", weights.get("heads.weight"))
    if classifier is None or classifier.ndim != 2:
        raise CheckpointError(
            f"{source} is not a checkpoint of MCJA: it has no classifier.weight (published) or heads.weight "
            f"(ours), but {_listed(weights)}"
        )
    maps = [value.shape[-1] for name, value in weights.items() if name.endswith(".ca_conv.weight")]
    return len(classifier), maps[0] if maps else 0


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint by name, whatever they are wrapped in.

    Raises:
        CheckpointError: no such file, or no state dict in it.
    """
    weights = read_state_dict(path, "checkpoint")
    return {name.removeprefix("module."): value for name, value in weights.items()}


def require_fit(weights: dict[str, Tensor], expected: dict[str, Tensor], source: str) -> None:
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
        raise CheckpointError(f"{source} does not fit MCJA with ResNet-50; {found}")


def _listed(names: Iterable[str], count: int = 12) -> str:
    names = list(names)
    return ", ".join(names[:count]) + (f", ... ({len(names) - count} more)" if len(names) > count else "")
