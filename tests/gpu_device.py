"""On what the tests marked ``gpu`` run, and how large their networks are.

By default on a GPU, and with the networks that the configs name. ``tools/gpu.py --tiny --device cpu`` sets
GPU_TEST_DEVICE and GPU_TEST_SCALE, so that each of them is tried where there is none.
"""

import os

import pytest
import torch

DEVICE = os.environ.get("GPU_TEST_DEVICE", "cuda")
TINY = os.environ.get("GPU_TEST_SCALE") == "tiny"
ON_GPU = DEVICE == "cuda"


def skip_without_device() -> None:
    """Skip a test marked ``gpu`` where there is no GPU."""
    if ON_GPU and not torch.cuda.is_available():
        pytest.skip("no CUDA device; tools/gpu.py --tiny --device cpu runs it on the CPU")


def make_convolutions_exact() -> None:
    """Compute a GPU's float32 convolutions in float32, not in TF32, and by the same algorithm each time."""
    torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic = False, True
