"""Training and evaluation from a config."""

from vireid.engine.setup import merge_config, setup
from vireid.engine.trainer import VIReIDTrainer, evaluate_weights

__all__ = ["VIReIDTrainer", "evaluate_weights", "merge_config", "setup"]
