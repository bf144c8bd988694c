"""The losses that MODEL.LOSSES.NAME may name.

A loss is an ``nn.Module`` in LOSS_REGISTRY with

- ``config_key``: its node under MODEL.LOSSES, which has at least SCALE, its weight;
- ``from_config(cfg)``: a classmethod that builds it;
- ``forward(...) -> scalar``, whose parameters are named after what it needs (``LOSS_INPUTS`` below);
  a parameter with a default is given where the input exists.
"""

import inspect

from torch import Tensor, nn
from yacs.config import CfgNode

from vireid.errors import ConfigError
from vireid.registries import LOSS_REGISTRY, find

# What forward() may ask for, by parameter name. Which of them exist depends on the head and the batch
# transforms of the config. N is the batch; mixed images are its last ones.
LOSS_INPUTS = {
    "embeddings": "(N, D) the head's features, before or after the neck as MODEL.HEADS.NECK_FEAT says",
    "logits": "(N, C) class scores of the classifier, with its margin",
    "pred_class_logits": "(N, C) class scores without margin",
    "targets": "(N,) identities, 0..C-1",
    "modalities": "(N,) Modality of each image",
    "camids": "(N,) cameras",
    "part_features": "(S, N, D) features of S stripes, from a head with parts",
    "part_logits": "(S, N, C) class scores of S stripes, from a head with parts",
    "mixed_sources": "(M, 2) the visible and the infrared image that each of the last M images mixes",
}


class WeightedLosses(nn.ModuleDict):
    """Losses by name, each times its weight.

    Args:
        losses: name -> loss.
        scales: name -> weight; a loss of weight 0 is left out.
    """

    def __init__(self, losses: dict[str, nn.Module], scales: dict[str, float]):
        super().__init__({name: loss for name, loss in losses.items() if scales[name] != 0})
        self.scales = scales
        keys = [losses[name].config_key for name in self]
        # "loss_ce", after the node; after the class where several losses share a node.
        self.value_names: dict[str, str] = {
            name: f"loss_{key if keys.count(key) == 1 else name}".lower() for name, key in zip(self, keys)
        }
        self.parameters_of = {
            name: dict(inspect.signature(loss.forward).parameters) for name, loss in self.items()
        }

    def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """inputs: what exists of LOSS_INPUTS -> {"loss_<config_key>": weighted scalar}."""
        values = {}
        for name, loss in self.items():
            parameters = self.parameters_of[name]
            required = [key for key, parameter in parameters.items() if parameter.default is parameter.empty]
            missing = [key for key in required if key not in inputs]
            if missing:
                raise ConfigError(
                    f"MODEL.LOSSES.NAME: {name} needs {', '.join(missing)}, which MODEL.HEADS.NAME and "
                    f"MODEL.BATCH_TRANSFORMS do not give; they give {', '.join(sorted(inputs))}"
                )
            value = loss(**{key: inputs[key] for key in parameters if key in inputs})
            values[self.value_names[name]] = self.scales[name] * value
        return values


def build_losses(cfg: CfgNode) -> WeightedLosses:
    """The losses of MODEL.LOSSES.NAME, weighted by MODEL.LOSSES.<config_key>.SCALE.

    Raises:
        ConfigError: unknown name, or none at all.
    """
    losses, scales = {}, {}
    for name in cfg.MODEL.LOSSES.NAME:
        loss = find(LOSS_REGISTRY, name, "MODEL.LOSSES.NAME")
        losses[name], scales[name] = loss.from_config(cfg), float(cfg.MODEL.LOSSES[loss.config_key].SCALE)
    weighted = WeightedLosses(losses, scales)
    if not weighted:
        raise ConfigError("MODEL.LOSSES.NAME is empty, or every SCALE is 0: there is nothing to train on")
    return weighted


from vireid.modeling.losses import toolkit  # noqa: E402, F401  (registration)
