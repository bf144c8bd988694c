"""The losses that MODEL.LOSSES.NAME may name.

A loss is an ``nn.Module`` in LOSS_REGISTRY with

- ``config_key``: its node under MODEL.LOSSES, which has at least SCALE, its weight;
- ``from_config(cfg)``: a classmethod that builds it;
- ``forward(...) -> scalar``, whose parameters are named after what it needs (``LOSS_INPUTS`` in
  ``weighted_losses.py``); a parameter with a default is given where the input exists;
- ``whole_batch``: True, also where it is left out, for a loss that compares images: where several processes
  share a batch, each gives it all images. False for a mean over images, which a process needs to compute for
  its own alone;
- ``count(...)``, of a loss with ``whole_batch`` False that is no mean over the images: how many things it is
  the mean of, as a number or a scalar on the device. Its parameters are named as those of ``forward``.
"""

from vireid.modeling.losses import toolkit  # noqa: F401  (registration)
from vireid.modeling.losses.weighted_losses import WeightedLosses, build_losses

__all__ = ["WeightedLosses", "build_losses"]
