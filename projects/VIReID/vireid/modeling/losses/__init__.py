"""The losses that MODEL.LOSSES.NAME may name.

A loss is an ``nn.Module`` in LOSS_REGISTRY with

- ``config_key``: its node under MODEL.LOSSES, which has at least SCALE, its weight;
- ``from_config(node)``: a classmethod that builds it from that node;
- ``forward(...) -> scalar``, whose parameters are named after what it needs (``LOSS_INPUTS`` below);
  one with a default is given where there is such a thing.
"""

import inspect

from fastreid.utils.registry import Registry
from torch import Tensor, nn
from yacs.config import CfgNode

from vireid.errors import ConfigError, registered

LOSS_REGISTRY = Registry("LOSS")

# What forward() may ask for, by parameter name. The head and the batch transforms of a config decide
# which of them there are; N is the batch, with the mixed images last where there are any.
LOSS_INPUTS = {
    "features": "(N, D) the head's features, before or after the neck as MODEL.HEADS.NECK_FEAT says",
    "embeddings": "(N, D) the same",
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
        self.value_names: dict[str, str] = {name: f"loss_{losses[name].config_key}".lower() for name in self}
        self.parameters_of = {
            name: dict(inspect.signature(loss.forward).parameters) for name, loss in self.items()
        }

    def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """inputs: what LOSS_INPUTS lists, as far as there is -> {"loss_<key>": weighted scalar}."""
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
        loss = registered(LOSS_REGISTRY._obj_map, name, "MODEL.LOSSES.NAME")
        node = cfg.MODEL.LOSSES[loss.config_key]
        losses[name], scales[name] = loss.from_config(node), float(node.SCALE)
    weighted = WeightedLosses(losses, scales)
    if not weighted:
        raise ConfigError("MODEL.LOSSES.NAME is empty, or every SCALE is 0: there is nothing to train on")
    return weighted


from vireid.modeling.losses import toolkit  # noqa: E402, F401  (registration)
