import copy
from inspect import signature

import pytest
import torch
from fastreid.modeling import build_model
from fastreid.solver import build_optimizer as build_toolkit_optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from configs import PROJECTS, tiny_config
from vireid.config.toolkit_keys import OPTIMIZERS
from vireid.engine.loss_log import ZERO_STEPS, LossLog, NotFiniteError
from vireid.engine.step import OptimizationStep, WeightAverage, averaged_model, build_optimizer, fused
from vireid.precision import autocast_dtype, computes_in_bf16

WITH_FUSED = [name for name in OPTIMIZERS if "fused" in signature(getattr(torch.optim, name)).parameters]
BF16 = {"SOLVER__AMP__ENABLED": True, "SOLVER__AMP__DTYPE": "bf16"}


def batch():
    torch.manual_seed(1)
    return {
        "images": torch.randint(0, 256, (8, 3, 64, 32), dtype=torch.uint8),
        "targets": torch.tensor([0, 0, 1, 1] * 2),
        "camids": torch.zeros(8, dtype=torch.long),
        "modalities": torch.tensor([0] * 4 + [1] * 4),
    }


def model_and_step(**overrides):
    torch.manual_seed(0)
    cfg = tiny_config("PMCM/configs/sysu.yml", MODEL__HEADS__PARTS__COUNT=2, **overrides)
    model = build_model(cfg).train()
    return model, OptimizationStep(model, None, build_optimizer(cfg, model), cfg)


def unchanged_tensors(model, step):
    before = {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}
    step(batch())
    return [name for name, p in model.named_parameters() if name in before and torch.equal(p, before[name])]


@pytest.mark.parametrize("overrides", [{}, BF16, {"SOLVER__OPT": "Adam"}])
def test_every_trainable_tensor_moves_in_one_step(overrides):
    assert unchanged_tensors(*model_and_step(**overrides)) == []


def test_the_toolkits_contiguous_buffer_moves_none():
    """The fault that build_optimizer avoids; where this fails, the toolkit is mended and it may go."""
    cfg = tiny_config(MODEL__CHANNELS_LAST=False)
    model = build_model(cfg).train()
    optimizer, _ = build_toolkit_optimizer(cfg, model, contiguous=True)
    step = OptimizationStep(model, None, optimizer, cfg)
    step(batch())  # zero_grad drops the buffer's gradient here
    trainable = [name for name, p in model.named_parameters() if p.requires_grad]
    assert unchanged_tensors(model, step) == trainable


def test_joined_groups_keep_every_parameters_settings():
    cfg = tiny_config(SOLVER__BIAS_LR_FACTOR=2.0, SOLVER__WEIGHT_DECAY_NORM=0.0)
    model = build_model(cfg)
    apart, _ = build_toolkit_optimizer(cfg, model, contiguous=False)
    joined = build_optimizer(cfg, model)

    def settings(optimizer):
        return {
            id(p): (group["lr"], group["weight_decay"], group["momentum"], group["nesterov"])
            for group in optimizer.param_groups
            for p in group["params"]
        }

    assert settings(joined) == settings(apart)
    assert len(joined.param_groups) < len(apart.param_groups) / 3


def gradients_of(model):
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("clips", [False, True])
@pytest.mark.parametrize("name", WITH_FUSED)
def test_a_fused_optimizer_makes_the_same_update(name, clips):
    """As on a GPU; the CPU has the fused kernels, too."""
    cfg = tiny_config(SOLVER__OPT=name, SOLVER__BASE_LR=0.01, SOLVER__CLIP_GRADIENTS__ENABLED=clips)
    torch.manual_seed(0)
    plain = build_model(cfg)
    other = copy.deepcopy(plain)
    optimizers = [build_optimizer(cfg, plain), build_optimizer(cfg, other)]
    optimizers[1] = fused(optimizers[1])
    assert all(group["fused"] for group in optimizers[1].param_groups)
    for model, optimizer in zip((plain, other), optimizers):
        for number, parameter in enumerate(model.parameters()):
            parameter.grad = torch.full_like(parameter, (-1) ** number * 0.1 * number)
        optimizer.step()
    for expected, found in zip(plain.parameters(), other.parameters()):
        torch.testing.assert_close(found, expected)


def scaled_updates(name, first, fuses):
    """The weights after five updates from loss scales of which the one at ``first`` overflows.

    The second parameter has no gradient before the third update.
    """
    cfg = tiny_config(SOLVER__OPT=name, SOLVER__BASE_LR=0.1)
    model = torch.nn.ParameterList([torch.ones(1000), torch.ones(3)])
    optimizer = build_optimizer(cfg, model)
    optimizer = fused(optimizer) if fuses else optimizer
    scaler = torch.amp.GradScaler("cpu", init_scale=1.0)
    for number in range(5):
        optimizer.zero_grad()
        loss = model[0].square().sum() + (model[1].sum() if number > 1 else 0)
        scaler.scale(loss * (torch.inf if number == first else 1)).backward()
        scaler.unscale_(optimizer)
        scaler.step(optimizer)
        scaler.update(1.0)
    return [value.detach() for value in model]


@pytest.mark.parametrize("first", [0, 1, 3])
@pytest.mark.parametrize("name", WITH_FUSED)
def test_an_overflow_leaves_a_fused_optimizer_as_it_was(name, first):
    held = [torch.full((1000,), 7e5) for _ in range(20)]
    del held  # what a tensor without a value may find in its memory
    for expected, found in zip(scaled_updates(name, first, False), scaled_updates(name, first, True)):
        torch.testing.assert_close(found, expected)


def test_an_update_takes_the_mean_gradient_of_its_batches():
    """The second batch is another one; batch norm and losses see one batch at a time."""
    batches = [batch(), {**batch(), "images": batch()["images"].flip(0)}]
    found = []
    for images in batches:
        model, step = model_and_step(SOLVER__BASE_LR=0.0)
        torch.manual_seed(3)
        step(images)
        found.append(gradients_of(model))
    model, step = model_and_step(SOLVER__BASE_LR=0.0, SOLVER__ACCUMULATE=2)
    for place, images in enumerate(batches):
        torch.manual_seed(3)
        step(images, (place, 2))
    for name, value in gradients_of(model).items():
        mean = (found[0][name] + found[1][name]) / 2
        torch.testing.assert_close(value, mean, rtol=1e-4, atol=1e-5 * float(mean.abs().max()))


def test_weights_change_at_the_last_batch_of_an_update_alone():
    model, step = model_and_step(SOLVER__ACCUMULATE=3, SOLVER__EMA__ENABLED=True)
    places = [step.group_of(number, 5) for number in range(5)]
    assert places == [(0, 3), (1, 3), (2, 3), (0, 2), (1, 2)]
    changed = []
    for place in places:
        before = model.heads.weight.detach().clone()
        step(batch(), place)
        changed.append(not torch.equal(model.heads.weight, before))
    assert changed == [False, False, True, False, True]


def test_the_average_is_that_of_the_weights_after_each_update():
    torch.manual_seed(0)
    cfg = tiny_config(SOLVER__EMA__ENABLED=True, SOLVER__EMA__DECAY=0.75)
    model = build_model(cfg).train()
    averaged = averaged_model(cfg, model)
    step = OptimizationStep(model, None, build_optimizer(cfg, model), cfg, averaged)
    expected = None
    for _ in range(3):
        step(batch())
        now = {name: value.clone() for name, value in model.state_dict().items() if value.is_floating_point()}
        if expected is not None:
            now = {name: 0.75 * expected[name] + 0.25 * value for name, value in now.items()}
        expected = now
    found = averaged.module.state_dict()
    assert any(name.endswith("running_var") for name in expected)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value)


def test_the_average_is_pytorchs_but_for_the_counters():
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4)).train()
    found = WeightAverage(model, 0.9)
    reference = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
    for _ in range(3):
        model(torch.randn(5, 3))
        with torch.no_grad():
            model[0].weight.add_(torch.randn(4, 3))
        found.update_parameters(model)
        reference.update_parameters(model)
    counter = "module.1.num_batches_tracked"
    expected = {**reference.state_dict(), counter: torch.tensor(3)}
    assert expected.keys() == found.state_dict().keys()
    for name, value in found.state_dict().items():
        assert torch.equal(value, expected[name]), name


def test_bf16_follows_fp32():
    losses = {}
    for enabled in (False, True):
        _, step = model_and_step(**(BF16 if enabled else {}))
        torch.manual_seed(2)
        losses[enabled] = {name: float(value) for name, value in step(batch()).items()}
    for name, value in losses[False].items():
        assert losses[True][name] == pytest.approx(value, rel=0.1, abs=0.05), name


def test_a_loss_that_is_not_finite_stops_before_the_weights_change():
    model, step = model_and_step()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    model.heads.weight.data[0, 0] = float("nan")
    before["heads.weight"][0, 0] = float("nan")
    with pytest.raises(NotFiniteError, match="a loss is not finite: loss_ce nan"):
        step(batch())
    for name, p in model.named_parameters():
        torch.testing.assert_close(p.detach(), before[name], equal_nan=True)


@pytest.mark.parametrize(
    ("dtype", "supported", "expected"),
    [("auto", True, torch.bfloat16), ("auto", False, None), ("bf16", False, torch.bfloat16)],
)
def test_the_precision_follows_the_device(monkeypatch, dtype, supported, expected):
    monkeypatch.setattr("vireid.precision.computes_in_bf16", lambda device: supported)
    assert autocast_dtype(tiny_config(SOLVER__AMP__ENABLED=True, SOLVER__AMP__DTYPE=dtype)) == expected
    assert autocast_dtype(tiny_config(SOLVER__AMP__ENABLED=False, SOLVER__AMP__DTYPE=dtype)) is None


def test_a_cpu_computes_in_bf16_where_it_says_so(monkeypatch):
    for found, expected in (({"avx2": True}, False), ({"avx512_bf16": True}, True), ({"bf16": True}, True)):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda found=found: found, raising=False)
        assert computes_in_bf16("cpu") == expected


CONFIGS = sorted(
    str(path.relative_to(PROJECTS))
    for path in PROJECTS.glob("*/configs/*.yml")
    if not path.name.startswith("_") and path.stem != "visible"  # a recipe for the toolkit's trainer
)


@pytest.mark.parametrize("file", CONFIGS)
def test_a_step_of_every_config_never_waits_for_the_device(file):
    """On PyTorch's meta device there are no numbers, so whatever asks for one fails."""
    settings = {"MODEL__HEADS__PARTS__COUNT": 2, "SOLVER__AMP__ENABLED": False}
    if file.startswith("MCJA"):
        settings["MODEL__MDA__STAGES"] = ["auto"]
    if "vcm" in file:
        settings["DATALOADER__TRACK_FRAMES"] = 2
    cfg = tiny_config(file, **settings)
    model = build_model(cfg).to("meta").train()
    cfg.MODEL.DEVICE = "meta"
    step = OptimizationStep(model, None, build_optimizer(cfg, model), cfg)
    losses = step(batch())
    assert len(losses) == len(cfg.MODEL.LOSSES.NAME)
    assert all(loss.is_meta for loss in losses.values())
    assert all(p.grad is not None for name, p in model.named_parameters() if p.requires_grad)
    with pytest.raises((RuntimeError, NotImplementedError), match="meta"):
        step.log.check()


@pytest.mark.parametrize("together", [1, ZERO_STEPS])
def test_a_loss_that_is_always_zero_is_said_once(together, caplog):
    """However many steps are read at a time: on a CPU each is read by itself."""
    log = LossLog()
    for step in range(3 * ZERO_STEPS):
        log.note({"loss_ce": torch.tensor(float(step % 2)), "loss_cmr": torch.tensor(0.0)})
        if (step + 1) % together == 0:
            log.take()
    assert [record.message.split(":")[0] for record in caplog.records] == [
        f"loss_cmr was 0 in {ZERO_STEPS} steps in a row"
    ]


def test_losses_are_read_together_and_the_step_that_was_not_finite_is_found():
    log = LossLog()
    for value in (1.0, 2.0, 3.0):
        log.note({"loss_ce": torch.tensor(value), "loss_cmr": torch.tensor(0.0)})
    assert log.take() == [{"loss_ce": value, "loss_cmr": 0.0} for value in (1.0, 2.0, 3.0)]
    assert log.take() == []
    for value in (1.0, float("nan"), 3.0, 4.0):
        log.note({"loss_ce": torch.tensor(value)})
    with pytest.raises(NotFiniteError, match="a loss is not finite: loss_ce nan") as error:
        log.check()
    assert error.value.steps_ago == 2
