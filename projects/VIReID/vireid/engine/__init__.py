"""Training, evaluation and export from a config."""

import fastreid  # noqa: F401  isort: skip  (first of all: vireid mends it and registers its parts then)

from vireid.config.files import full_config, merge_config, packed_weights
from vireid.engine import toolkit_calls  # noqa: F401  (the toolkit's calls come there)
from vireid.engine.evaluation import evaluate_weights, load_for_evaluation
from vireid.engine.run_setup import setup
from vireid.engine.trainer import VIReIDTrainer

__all__ = [
    "VIReIDTrainer",
    "evaluate_weights",
    "full_config",
    "load_for_evaluation",
    "merge_config",
    "packed_weights",
    "setup",
]
