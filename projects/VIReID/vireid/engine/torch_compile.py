"""SOLVER.COMPILE: the backbone, where almost all of a step's time goes, as compiled code.

What surrounds it decides by a batch's modalities and identities which images go where; it stays Python. A
checkpoint has the same names with and without.
"""

import importlib.util
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from yacs.config import CfgNode

from vireid.errors import ConfigError


def compile_backbone(cfg: CfgNode, model: nn.Module) -> None:
    """Compile the model's backbone, in place, if SOLVER.COMPILE says so; its first steps take minutes.

    Raises:
        ConfigError: the compiler that PyTorch needs is missing.
    """
    if not cfg.SOLVER.COMPILE:
        return
    compiler = os.environ.get("CXX", "g++")
    if shutil.which(compiler) is None:
        raise ConfigError(
            f"SOLVER.COMPILE True needs a C++ compiler, and there is no {compiler}: install one, name it by "
            "the variable CXX, or set SOLVER.COMPILE False"
        )
    if torch.device(cfg.MODEL.DEVICE).type == "cuda" and importlib.util.find_spec("triton") is None:
        raise ConfigError(
            "SOLVER.COMPILE True needs triton on a GPU: pip install triton, or set SOLVER.COMPILE False"
        )
    backbone = getattr(model, "backbone", model)
    backbone.compile()


@contextmanager
def compiler_errors() -> Iterator[None]:
    """Raise what the compiler cannot compile as one line.

    Raises:
        ConfigError: with its reason.
    """
    try:
        yield
    except Exception as error:
        module = type(error).__module__
        if not module.startswith(("torch._dynamo", "torch._inductor")):
            raise
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise ConfigError(
            f"SOLVER.COMPILE: PyTorch cannot compile this backbone ({reason}); set SOLVER.COMPILE False"
        ) from error
