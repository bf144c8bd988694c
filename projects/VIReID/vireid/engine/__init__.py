"""Training and evaluation from a config."""

from vireid.engine.setup import merge_config, setup
from vireid.engine.trainer import VIReIDTrainer, evaluate_weights, load_for_evaluation

__all__ = ["VIReIDTrainer", "evaluate_weights", "load_for_evaluation", "merge_config", "setup"]
