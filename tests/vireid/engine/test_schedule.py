import math

import pytest
import torch

from configs import tiny_config
from vireid.engine.schedule import build_schedule, learning_rate_factor
from vireid.errors import ConfigError


def test_the_agw_recipe_epoch_by_epoch():
    cfg = tiny_config(SOLVER__WARMUP_FACTOR=0.1, SOLVER__WARMUP_EPOCHS=10)
    factor = learning_rate_factor(cfg, iters_per_epoch=7, base_lr=0.01)
    for iteration in range(81 * 7):
        epoch = iteration // 7
        expected = 1.0 if epoch < 20 else 0.1 if epoch < 50 else 0.01
        if epoch < 10:
            expected = 0.1 + 0.9 * iteration / 70
        assert factor(iteration) == pytest.approx(expected), epoch


def test_cosine_runs_from_the_end_of_warmup_to_the_floor():
    cfg = tiny_config(
        SOLVER__SCHED="CosineAnnealingLR",
        SOLVER__WARMUP_EPOCHS=2,
        SOLVER__MAX_EPOCH=12,
        SOLVER__ETA_MIN_LR=0.001,
    )
    factor = learning_rate_factor(cfg, iters_per_epoch=5, base_lr=0.1)
    for epoch in range(2, 12):
        expected = 0.001 + (0.1 - 0.001) * (1 + math.cos(math.pi * (epoch - 2) / 10)) / 2
        assert 0.1 * factor(5 * epoch) == pytest.approx(expected)


@pytest.mark.parametrize(("method", "expected"), [("constant", 0.1), ("linear", 0.55), ("exp", 0.1**0.5)])
def test_warmup_methods_halfway(method, expected):
    cfg = tiny_config(SOLVER__WARMUP_METHOD=method, SOLVER__WARMUP_EPOCHS=0, SOLVER__WARMUP_ITERS=8)
    assert learning_rate_factor(cfg, 100, 0.1)(4) == pytest.approx(expected)


def test_a_resumed_schedule_goes_on_where_it_was():
    cfg = tiny_config(SOLVER__WARMUP_EPOCHS=1, SOLVER__STEPS=[2, 3])

    def fresh():
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
        return optimizer, build_schedule(cfg, optimizer, 4)

    optimizer, schedule = fresh()
    rates = []
    for step in range(16):
        rates.append(optimizer.param_groups[0]["lr"])
        if step == 6:
            saved = optimizer.state_dict(), schedule.state_dict()
        optimizer.step()
        schedule.step()
    optimizer, schedule = fresh()
    optimizer.load_state_dict(saved[0])
    schedule.load_state_dict(saved[1])
    resumed = []
    for _ in range(6, 16):
        resumed.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert resumed == pytest.approx(rates[6:])


@pytest.mark.parametrize(("key", "value"), [("SCHED", "StepLR"), ("WARMUP_METHOD", "slow")])
def test_an_unknown_schedule_is_refused(key, value):
    with pytest.raises(ConfigError, match=f"SOLVER.{key} is '{value}'"):
        learning_rate_factor(tiny_config(**{f"SOLVER__{key}": value}), 1, 0.1)
