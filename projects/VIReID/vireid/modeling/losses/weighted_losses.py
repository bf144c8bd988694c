"""The losses of a config: built from MODEL.LOSSES, given what they ask for, weighted and added."""

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from fastreid.utils import comm
from torch import Tensor, nn
from yacs.config import CfgNode

from vireid.errors import ConfigError
from vireid.modality import Modality
from vireid.modeling.losses.processes import LossInput, join_processes, weights_of_means
from vireid.registries import LOSS_REGISTRY, find

# What forward() may ask for, by parameter name. Which of them exist depends on the head and the batch
# transforms of the config. N is the batch, ordered by modality: mixed images are its last ones. Where an
# adapter adds branches of images to it, each of them counts as an image.
LOSS_INPUTS = {
    "embeddings": LossInput("(N, D) the head's features, before or after the neck: MODEL.HEADS.NECK_FEAT"),
    "logits": LossInput("(N, C) class scores of the classifier, with its margin"),
    "pred_class_logits": LossInput("(N, C) class scores without margin"),
    "targets": LossInput("(N,) identities, 0..C-1"),
    "modalities": LossInput("(N,) Modality of each image"),
    "sizes": LossInput("how many images of each Modality there are; numbers, which no device is read for"),
    "camids": LossInput("(N,) cameras"),
    "views": LossInput("(N,) which view of its image each is, from 0; where there are several"),
    "branches": LossInput(
        "(N,) which branch of its image each is, 0 the image itself; where an adapter adds any"
    ),
    "part_features": LossInput("(S, N, D) features of S stripes, from a head with parts", axis=1),
    "part_logits": LossInput("(S, N, C) class scores of S stripes, from a head with parts", axis=1),
    "mixed_sources": LossInput(
        "(M, 2) positions of the visible and the infrared image that each of the last M images mixes",
        positions=True,
    ),
}


class WeightedLosses(nn.ModuleDict):
    """Losses by name, each times its weight.

    Args:
        losses: name -> loss.
        scales: name -> weight; a loss of weight 0 is left out.
        without_mixed: names of the losses that see visible and infrared images alone.
    """

    def __init__(
        self, losses: dict[str, nn.Module], scales: dict[str, float], without_mixed: Collection[str] = ()
    ):
        super().__init__({name: loss for name, loss in losses.items() if scales[name] != 0})
        self.scales, self.without_mixed = scales, without_mixed
        keys = [losses[name].config_key for name in self]
        # "loss_ce", after the node; after the class where several losses share a node.
        self.value_names: dict[str, str] = {
            name: f"loss_{key if keys.count(key) == 1 else name}".lower() for name, key in zip(self, keys)
        }
        self.means = [name for name, loss in self.items() if not getattr(loss, "whole_batch", True)]

    def forward(self, inputs: Mapping[str, Any]) -> dict[str, Tensor]:
        """inputs: what exists of LOSS_INPUTS -> {"loss_<config_key>": weighted scalar}.

        With several processes, the mean of a value over them, and its gradient as DistributedDataParallel
        averages it, are those of one process on the joined batch.
        """
        inputs = dict(inputs)
        if "sizes" not in inputs and "modalities" in inputs:
            inputs["sizes"] = tuple(inputs["modalities"].bincount(minlength=len(Modality)).tolist())
        arguments = {name: self._arguments(name, inputs) for name in self}
        sizes = dict.fromkeys(self, inputs.get("sizes", ()))
        weights: dict[str, float | Tensor] = dict.fromkeys(self, 1.0)
        if comm.get_world_size() > 1:
            compared = [name for name in self if name not in self.means]
            asked = {key for name in compared for key in arguments[name]}
            if compared:
                joined = join_processes(inputs, asked, LOSS_INPUTS)
                arguments.update({name: {key: joined[key] for key in arguments[name]} for name in compared})
                sizes.update(dict.fromkeys(compared, joined["sizes"]))
            if self.means:
                counts = [self._count(name, self._seen_by(name, inputs, sizes[name])) for name in self.means]
                weights.update(zip(self.means, weights_of_means(counts, inputs["targets"].device)))
        arguments = {name: self._seen_by(name, given, sizes[name]) for name, given in arguments.items()}
        return {
            self.value_names[name]: self.scales[name] * weights[name] * loss(**arguments[name])
            for name, loss in self.items()
        }

    def _arguments(self, name: str, inputs: dict[str, Any]) -> dict[str, Any]:
        parameters = inspect.signature(self[name].forward).parameters
        missing = [key for key in _needed(self[name]) if key not in inputs]
        if missing:
            raise ConfigError(
                f"MODEL.LOSSES.NAME: {name} needs {', '.join(missing)}, which MODEL.HEADS.NAME, "
                f"MODEL.ADAPTERS and MODEL.BATCH_TRANSFORMS do not give; they give "
                f"{', '.join(sorted(inputs))}"
            )
        return {key: inputs[key] for key in parameters if key in inputs}

    def _seen_by(self, name: str, given: dict[str, Any], sizes: Sequence[int]) -> dict[str, Any]:
        """What a loss is given, without the entries of mixed images where it is not to see them."""
        if name not in self.without_mixed:
            return given
        images, originals = sum(sizes), sum(sizes) - sizes[Modality.MIXED]
        seen = {}
        for key, value in given.items():
            kind = LOSS_INPUTS.get(key, LossInput(""))
            of_images = isinstance(value, Tensor) and not kind.positions and value.shape[kind.axis] == images
            seen[key] = value.narrow(kind.axis, 0, originals) if of_images else value
        if "sizes" in seen:
            seen["sizes"] = (*sizes[: Modality.MIXED], 0)
        return seen

    def _count(self, name: str, inputs: dict[str, Any]) -> int | Tensor:
        count: Callable[..., int | Tensor] | None = getattr(self[name], "count", None)
        if count is None:
            return len(inputs["targets"])
        return count(**{key: inputs[key] for key in inspect.signature(count).parameters if key in inputs})


def _needed(loss: nn.Module) -> list[str]:
    """The inputs that a loss cannot do without."""
    parameters = inspect.signature(loss.forward).parameters
    return [key for key, parameter in parameters.items() if parameter.default is parameter.empty]


def build_losses(cfg: CfgNode) -> WeightedLosses:
    """The losses of MODEL.LOSSES.NAME, weighted by MODEL.LOSSES.<config_key>.SCALE.

    Raises:
        ConfigError: unknown name, none at all, or one without mixed images that is of them.
    """
    losses, scales = {}, {}
    for name in cfg.MODEL.LOSSES.NAME:
        loss = find(LOSS_REGISTRY, name, "MODEL.LOSSES.NAME")
        losses[name], scales[name] = loss.from_config(cfg), float(cfg.MODEL.LOSSES[loss.config_key].SCALE)
    without_mixed = cfg.MODEL.LOSSES.WITHOUT_MIXED
    unknown = sorted(set(without_mixed) - set(losses))
    if unknown:
        raise ConfigError(
            f"MODEL.LOSSES.WITHOUT_MIXED names {unknown[0]}, which MODEL.LOSSES.NAME does not have; it has "
            f"{', '.join(losses)}"
        )
    mixing = [name for name in without_mixed if "mixed_sources" in _needed(losses[name])]
    if mixing:
        raise ConfigError(
            f"MODEL.LOSSES.WITHOUT_MIXED names {mixing[0]}, which compares mixed images with others; "
            "take it out"
        )
    weighted = WeightedLosses(losses, scales, without_mixed)
    if not weighted:
        raise ConfigError("MODEL.LOSSES.NAME is empty, or every SCALE is 0: there is nothing to train on")
    return weighted
