import math

import pytest
import torch

from configs import tiny_config
from vireid.engine.schedule import build_schedule, fast_forward, learning_rate_factor


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


@pytest.mark.parametrize("resumed_at", [0, 3, 6, 15])
def test_a_resumed_schedule_goes_on_where_it_was(resumed_at):
    cfg = tiny_config(SOLVER__WARMUP_EPOCHS=1, SOLVER__STEPS=[2, 3])

    def rates(start):
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
        schedule = build_schedule(cfg, optimizer, 4)
        fast_forward(schedule, start)
        for _ in range(start, 16):
            assert schedule.get_last_lr() == [optimizer.param_groups[0]["lr"]]
            yield optimizer.param_groups[0]["lr"]
            optimizer.step()
            schedule.step()

    whole = list(rates(0))
    assert len(set(whole)) > 5  # warm-up and two drops
    assert list(rates(resumed_at)) == whole[resumed_at:]


def test_a_rate_changed_on_resume_counts():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.5)
    cfg = tiny_config(SOLVER__WARMUP_EPOCHS=0, SOLVER__WARMUP_ITERS=0, SOLVER__STEPS=[2])
    schedule = build_schedule(cfg, optimizer, 4)
    fast_forward(schedule, 9)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.5 * cfg.SOLVER.GAMMA)
