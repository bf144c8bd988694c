"""A training step on the device: every shipped config's beside the CPU's, fp16's loss scale, waits, draws."""

import copy

import pytest
import torch
from torch import nn
from torch.profiler import profile, record_function

from gpu_device import ON_GPU, TINY
from vireid.engine import full_config
from vireid.engine.checkpoints.resume import generator_states, restore_generators
from vireid.engine.loss_log import NotFiniteError
from vireid.engine.models import build_model
from vireid.engine.step import OptimizationStep, build_optimizer
from vireid.precision import computes_in_bf16

pytestmark = pytest.mark.gpu

METHODS = ("vireid", "pmcm", "mcja", "caj", "deen")
DATASETS = ("sysu", "regdb", "llcm") if ON_GPU else ("sysu", "regdb")
CONFIGS = [f"{method}/{dataset}" for method in METHODS for dataset in DATASETS]
SIZE = (64, 32) if TINY else (96, 48)
IMAGES, IDENTITIES = 16, 4
DTYPES = {"float32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
# The largest difference of a loss, as a share of it where it is above 1; and the smallest cosine of all
# gradients with those of float32 on the CPU. A CPU's own bf16 was found at 0.01 and 0.985.
TOLERANCES = {"float32": (1e-3, 0.9995), "bf16": (0.05, 0.95), "fp16": (0.02, 0.98)}
SCALE_HALVINGS = 20  # fp16's first loss scale may be too large by so many powers of two


def config_of(name, dtype="float32", device="cpu", **overrides):
    """A shipped config with small images, from scratch, without what is drawn in the layers."""
    settings = {
        "MODEL.DEVICE": device,
        "MODEL.BACKBONE.PRETRAIN": False,
        "MODEL.HEADS.NUM_CLASSES": IDENTITIES,
        "MODEL.DEE.DROPOUT": 0.0,
        "INPUT.SIZE_TRAIN": list(SIZE),
        "INPUT.SIZE_TEST": list(SIZE),
        "SOLVER.AMP.ENABLED": dtype != "float32",
        "SOLVER.AMP.DTYPE": "bf16" if dtype == "float32" or device == "cpu" else dtype,
        **{key.replace("__", "."): value for key, value in overrides.items()},
    }
    if TINY:
        settings |= {
            "MODEL.BACKBONE.NAME": "build_small_resnet_backbone",
            "MODEL.BACKBONE.DEPTH": "10x",
            "MODEL.BACKBONE.WIDTH": 16,
            "MODEL.BACKBONE.WITH_NL": False,
            "MODEL.HEADS.PARTS.COUNT": 2,
        }
    return full_config(name, [str(item) for pair in settings.items() for item in pair])


def model_of(cfg):
    """An untrained model of well-conditioned gradients, on the CPU.

    From block to block of an untrained ResNet-50, a difference of rounding grows, up to gradients that have
    nothing in common. In a trained one, a block adds less to its input, and so it does here.
    """
    torch.manual_seed(0)
    model = build_model(cfg).train()
    for name, parameter in model.named_parameters():
        if name.endswith("bn3.weight"):
            parameter.data *= 0.05
    return model


def batch_of(cfg):
    """Half visible, half infrared images, as a loader gives them: pinned, where they go to a GPU."""
    generator = torch.Generator().manual_seed(1)
    targets = (torch.arange(IMAGES // 2) % IDENTITIES).repeat(2)
    batch = {
        "images": torch.randint(0, 256, (IMAGES, 3, *SIZE), dtype=torch.uint8, generator=generator),
        "targets": targets,
        "camids": torch.zeros_like(targets),
        "modalities": torch.arange(IMAGES) * 2 // IMAGES,
    }
    if len(cfg.INPUT.VISIBLE_FURTHER_VIEWS):
        batch["views"] = torch.arange(IMAGES) * 4 // IMAGES % 2 * (1 - batch["modalities"])
    return {key: value.pin_memory() if ON_GPU else value for key, value in batch.items()}


def step_of(cfg, model, dtype):
    """An optimization step on the config's device, which is given a model of the CPU."""
    model = copy.deepcopy(model).to(cfg.MODEL.DEVICE)
    step = OptimizationStep(model, None, build_optimizer(cfg, model), cfg)
    if dtype == "fp16" and cfg.MODEL.DEVICE == "cpu":  # which a config may not ask for
        step.dtype, step.grad_scaler = torch.float16, torch.amp.GradScaler("cpu")
    return step


def losses_and_gradients(step, batch):
    """Of the first step that fp16's loss scale does not overflow in; all gradients as one vector."""
    scaler = step.grad_scaler
    for _ in range(SCALE_HALVINGS if scaler else 1):
        scale = scaler.get_scale() if scaler else 1.0
        torch.manual_seed(3)
        losses = {name: float(value) for name, value in step(batch).items()}
        if scaler is None or scaler.get_scale() >= scale:
            break
    step.log.take()  # raises where a loss is not finite
    gradients = [p.grad.flatten().double().cpu() for p in step.model.parameters() if p.grad is not None]
    return losses, torch.cat(gradients)


def moved(step, model):
    """The names of the tensors that a step has changed."""
    after = dict(step.model.named_parameters())
    return {name for name, value in model.named_parameters() if not torch.equal(value, after[name].cpu())}


@pytest.fixture
def draws_of_the_host(monkeypatch):
    """Patches are drawn on the CPU, so that each device mixes the same ones."""
    rand = torch.rand

    def on_host(*size, generator=None, device=None):
        return rand(*size).to(device)

    monkeypatch.setattr(torch, "rand", on_host)


def formats():
    """Those that the device computes in. A CPU lacks the operators that autocast keeps from fp16 on a GPU."""
    bf16 = not ON_GPU or computes_in_bf16("cuda")
    return [dtype for dtype in DTYPES if {"float32": True, "bf16": bf16, "fp16": ON_GPU}[dtype]]


@pytest.mark.parametrize("name", CONFIGS)
def test_a_step_of_every_shipped_config_is_that_of_the_cpu(name, gpu, draws_of_the_host, record_property):
    cfg = config_of(name)
    model, batch = model_of(cfg), batch_of(cfg)
    reference = step_of(cfg, model, "float32")
    expected, gradients = losses_and_gradients(reference, batch)
    assert all(value == value for value in expected.values()) and gradients.norm() > 0
    failures = []
    for dtype in formats():
        step = step_of(config_of(name, dtype, gpu), model, dtype)
        found, ours = losses_and_gradients(step, batch)
        assert found.keys() == expected.keys()
        difference = max(abs(found[key] - value) / max(1, abs(value)) for key, value in expected.items())
        cosine = float(torch.nn.functional.cosine_similarity(ours, gradients, dim=0))
        record_property(f"{dtype}: loss", difference)
        record_property(f"{dtype}: 1 - cosine", 1 - cosine)
        largest, smallest = TOLERANCES[dtype]
        if not (difference <= largest and cosine >= smallest):
            failures.append(f"{dtype}: losses {found} for {expected}, cosine of the gradients {cosine:.5f}")
        if dtype == "float32" and moved(step, model) != moved(reference, model):
            failures.append(f"moved: {sorted(moved(step, model) ^ moved(reference, model))[:5]}")
    assert failures == []


def test_channels_last_computes_what_contiguous_memory_does(gpu, draws_of_the_host, record_property):
    found = []
    for last in (False, True):
        cfg = config_of("pmcm/sysu", device=gpu, MODEL__CHANNELS_LAST=last)
        step = step_of(cfg, model_of(cfg), "float32")
        images = step.model.preprocess_image(batch_of(cfg))
        assert images.is_contiguous(memory_format=torch.channels_last) == last
        found.append(losses_and_gradients(step, batch_of(cfg)))
    (losses, gradients), (other_losses, other_gradients) = found
    assert other_losses == pytest.approx(losses, rel=1e-3, abs=1e-3)
    difference = float((other_gradients - gradients).norm() / gradients.norm())
    record_property("gradients", difference)
    assert difference <= 0.02


@pytest.mark.parametrize("name", ["vireid/sysu", "mcja/sysu"])  # SGD, Adam
def test_an_overflow_in_fp16_leaves_the_weights_and_halves_the_loss_scale(name, gpu):
    cfg = config_of(name, "fp16", gpu)
    step = step_of(cfg, model_of(cfg), "fp16")
    step.grad_scaler = torch.amp.GradScaler(gpu, init_scale=2.0**60)
    before = copy.deepcopy(step.model.state_dict())
    step(batch_of(cfg))
    assert step.grad_scaler.get_scale() == 2.0**59
    weights = [key for key, parameter in step.model.named_parameters() if parameter.requires_grad]
    assert all(torch.equal(step.model.state_dict()[key], before[key]) for key in weights)
    kept = [state.get("momentum_buffer") for state in step.optimizer.state.values()]
    assert not any(bool(buffer.any()) for buffer in kept if buffer is not None)
    resumed = torch.amp.GradScaler(gpu)
    resumed.load_state_dict(step.grad_scaler.state_dict())
    assert resumed.get_scale() == 2.0**59
    step.grad_scaler.update(2.0**7)
    for _ in range(3):
        step(batch_of(cfg))
    after = step.model.state_dict()
    assert step.grad_scaler.get_scale() == 2.0**7
    assert all(bool(after[key].isfinite().all()) for key in weights)
    still = [key for key in weights if torch.equal(after[key], before[key])]
    assert len(still) < len(weights) / 20, still  # gradients of 0, as behind an adapter that begins at 0


def test_a_loss_that_is_not_finite_is_found_when_it_is_read(gpu):
    cfg = config_of("vireid/sysu", device=gpu)
    step = step_of(cfg, model_of(cfg), "float32")
    step.waits = False
    step(batch_of(cfg))
    step.model.heads.weight.data[0, 0] = float("nan")
    for _ in range(2):
        step(batch_of(cfg))
    with pytest.raises(NotFiniteError, match="a loss is not finite: loss_ce nan") as error:
        step.log.take()
    assert error.value.steps_ago == 1


WAITS = {"cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize"}
STEPS = "the steps"


@pytest.mark.parametrize("dtype", ["bf16", "fp16"] if ON_GPU else ["bf16"])
@pytest.mark.parametrize("method", METHODS if ON_GPU else ["pmcm"])
def test_no_step_waits_for_the_device(method, dtype, gpu, record_property):
    """Within a logging period: what PyTorch knows to wait raises, and a profile has no wait."""
    if dtype not in formats():
        pytest.skip(f"this GPU does not compute in {dtype}")
    cfg = config_of(f"{method}/sysu", dtype, gpu, MODEL__DEE__DROPOUT=0.01)
    step, batch = step_of(cfg, model_of(cfg), dtype), batch_of(cfg)
    step.waits = False
    for _ in range(3):
        step(batch)
    assert len(step.log.take()) == 3
    with profile() as profiler, record_function(STEPS):
        if ON_GPU:
            torch.cuda.set_sync_debug_mode("error")
        try:
            for _ in range(3):
                step(batch)
        finally:
            if ON_GPU:
                torch.cuda.set_sync_debug_mode("default")
    events = profiler.events()
    (steps,) = (
        event.time_range for event in events if event.name == STEPS and event.device_type.name == "CPU"
    )
    waits = [
        event.name
        for event in events
        if event.name in WAITS and steps.start <= event.time_range.start <= steps.end
    ]
    kernels = sum(event.device_type.name == "CUDA" for event in events)
    record_property("kernels a step", kernels // 3)  # none where the driver lets nobody profile
    assert waits == []
    assert len(step.log.take()) == 3


def test_the_states_of_the_generators_give_the_same_draws(gpu):
    torch.manual_seed(5)
    dropout = nn.Dropout(0.5)

    def draws():
        of_device = torch.rand(100, device=gpu), dropout(torch.ones(100, device=gpu))
        return [value.cpu() for value in (*of_device, torch.rand(100))]

    draws()
    states = generator_states()
    expected = draws()
    draws()
    assert ("cuda" in states[0]) == ON_GPU
    restore_generators(states)
    for value, again in zip(expected, draws()):
        assert torch.equal(value, again)
