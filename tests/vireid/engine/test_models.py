import shutil

import pytest
import torch
from fastreid.modeling import build_model

from configs import tiny_config
from vireid.engine.models import compile_backbone, compiler_errors
from vireid.engine.step import OptimizationStep, build_optimizer
from vireid.errors import ConfigError


def batch():
    torch.manual_seed(1)
    return {
        "images": torch.randint(0, 256, (8, 3, 64, 32), dtype=torch.uint8),
        "targets": torch.tensor([0, 0, 1, 1] * 2),
        "camids": torch.zeros(8, dtype=torch.long),
        "modalities": torch.tensor([0] * 4 + [1] * 4),
    }


@pytest.mark.full  # a minute of compiling
@pytest.mark.skipif(shutil.which("g++") is None, reason="PyTorch compiles with g++, which is not there")
@pytest.mark.parametrize(
    "file",
    [f"{project}/configs/sysu.yml" for project in ("VIReID", "PMCM", "MCJA", "DEEN")],
)
def test_a_compiled_step_follows_the_plain_one(file):
    found = []
    for compiled in (False, True):
        torch.manual_seed(0)
        cfg = tiny_config(
            file, MODEL__HEADS__PARTS__COUNT=2, MODEL__DEE__DROPOUT=0.0, SOLVER__COMPILE=compiled
        )
        model = build_model(cfg).train()
        names = list(model.state_dict())
        compile_backbone(cfg, model)
        assert list(model.state_dict()) == names
        step = OptimizationStep(model, None, build_optimizer(cfg, model), cfg)
        torch.manual_seed(2)
        losses = [step(batch()) for _ in range(2)]
        found.append(
            {f"{name} {n}": float(value) for n, row in enumerate(losses) for name, value in row.items()}
        )
    assert found[1] == pytest.approx(found[0], rel=1e-3, abs=1e-4)


def test_a_missing_compiler_is_named(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(ConfigError, match="needs a C\\+\\+ compiler, and there is no no-such-compiler"):
        compile_backbone(tiny_config(SOLVER__COMPILE=True), torch.nn.Identity())


def test_what_cannot_be_compiled_is_one_line():
    error = type("Unsupported", (RuntimeError,), {"__module__": "torch._dynamo.exc"})
    with (
        pytest.raises(
            ConfigError, match=r"cannot compile this backbone \(a call\); set SOLVER.COMPILE False"
        ),
        compiler_errors(),
    ):
        raise error("\na call\nand a page of details")
    with pytest.raises(ValueError, match="another error"), compiler_errors():
        raise ValueError("another error")
