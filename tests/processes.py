"""Several gloo processes in a test, and what each of them computes for the tests of gradients."""

import vireid  # noqa: F401  isort: skip  (before any module of the toolkit: it is mended on import)

import multiprocessing
import os
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.distributed.nn
import torch.multiprocessing
from fastreid.modeling import build_model
from fastreid.utils import comm
from torch import nn

from configs import tiny_config
from vireid.data import build_dataset, build_test_loader
from vireid.engine.extraction import extract_features
from vireid.engine.models import distributed
from vireid.engine.step import OptimizationStep, build_optimizer

RECIPES = {
    "AGW": ("VIReID/configs/sysu.yml", {}),
    "PMCM": ("PMCM/configs/sysu.yml", {"MODEL__HEADS__PARTS__COUNT": 2}),
    "MCJA": ("MCJA/configs/sysu.yml", {"MODEL__MDA__STAGES": ["auto"]}),
    "CAJ": (
        "CAJ/configs/sysu.yml",
        {
            "MODEL__LOSSES__NAME": [
                "CrossEntropyLoss",
                "EnhancedSquaredDifference",
                "VisibleInfraredDivergence",
            ],
            "MODEL__LOSSES__KL__SCALE": 1.0,
        },
    ),
    "DEEN": ("DEEN/configs/sysu.yml", {"MODEL__DEE__DROPOUT": 0.0}),
    "DEEN with mixed images": (
        "PMCM/configs/sysu.yml",
        {
            "MODEL__HEADS__PARTS__COUNT": 2,
            "MODEL__ADAPTERS": ["MFA", "DEE"],
            "MODEL__DEE__DROPOUT": 0.0,
            "MODEL__TWO_STREAM__SPECIFIC": ["conv1", "bn1", "layer1", "layer4"],
            "MODEL__LOSSES__NAME": ["PatchMixedModalityLoss", "CenterPairMiningLoss", "OrthogonalityLoss"],
        },
    ),
    "the toolkit's other losses": (
        "VIReID/configs/sysu.yml",
        {
            "MODEL__LOSSES__NAME": ["CrossEntropyLoss", "FocalLoss", "CircleLoss", "Cosface", "TripletLoss"],
            "MODEL__LOSSES__CE__EPSILON": -1.0,
            "MODEL__LOSSES__TRI__HARD_MINING": True,
            "MODEL__LOSSES__TRI__MARGIN": 0.3,
            "MODEL__LOSSES__TRI__NORM_FEAT": True,
        },
    ),
    "own stem without mixing, stripes without a loss": (
        "PMCM/configs/sysu.yml",
        {
            "MODEL__HEADS__PARTS__COUNT": 2,
            "MODEL__TWO_STREAM__MIXED_STEM": "own",
            "MODEL__BATCH_TRANSFORMS": [],
            "MODEL__LOSSES__NAME": ["CrossEntropyLoss", "CenterToCenterLoss", "PartAlignmentLoss"],
            "MODEL__LOSSES__PART__SCALE": 0.0,
        },
    ),
}

IDENTITIES = 8


def run_processes(function, world_size, folder, *arguments, device="cpu"):
    """Call ``function(folder, *arguments)`` in each of ``world_size`` processes of one group.

    On "cuda" they talk by NCCL, where each can have a GPU of its own; else by gloo, on one GPU.
    """
    store = Path(folder) / f"store_{world_size}"
    # Forked from a process that has imported this module and has done nothing else.
    multiprocessing.set_forkserver_preload([__name__])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
        torch.multiprocessing.start_processes(
            _start,
            (dict(os.environ), world_size, store, device, function, folder, arguments),
            nprocs=world_size,
            start_method="forkserver" if device == "cpu" else "spawn",
        )


def _start(rank, environment, world_size, store, device, function, folder, arguments):
    os.environ.update(environment)
    torch.set_num_threads(1)
    with_own = device == "cuda" and torch.cuda.device_count() >= world_size
    if device == "cuda":
        torch.cuda.set_device(rank if with_own else 0)
    backend = "nccl" if with_own else "gloo"
    dist.init_process_group(backend, init_method=f"file://{store}", rank=rank, world_size=world_size)
    try:
        function(folder, *arguments)
    finally:
        dist.destroy_process_group()


class TrainLosses(nn.Module):
    """A model's losses for a batch that is normalized and mixed already."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, batch):
        return self.model.train_losses(dict(batch))


def model_and_batch(recipe, **changes):
    """A model and the joined batch, the same in every process, normalized and mixed.

    Statistics of batch norm are those of a process's own share, so its layers are in evaluation mode.
    Identities 0 and 1 have no infrared images and 7 no visible ones; 6 has more than the others.
    """
    file, overrides = RECIPES[recipe]
    torch.manual_seed(0)
    cfg = tiny_config(file, MODEL__HEADS__NUM_CLASSES=IDENTITIES, **overrides, **changes)
    model = build_model(cfg).train()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
    for parameter in model.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    labels = [(pid, 0) for pid in range(7) for _ in range(2)] + [(6, 0)]
    labels += [(pid, 1) for pid in range(2, 8) for _ in range(2)]
    targets, modalities = torch.tensor(labels).unbind(1)
    batch = {
        "images": torch.randint(0, 256, (len(labels), 3, 64, 32), dtype=torch.uint8),
        "targets": targets,
        "camids": torch.zeros_like(targets),
        "modalities": modalities,
        "views": torch.tensor([n % 2 * (modality == 0) for n, (_, modality) in enumerate(labels)]),
    }
    batch = model.preprocess(batch)
    for transform in model.batch_transforms:
        batch = transform(batch)
    model.batch_transforms = []
    return model, batch


def share_of(batch, axes=None):
    """What this process has of the joined batch: its identities, and their mixed images.

    Args:
        axes: name -> axis of the images, where it is not the first.
    """
    owner = batch["targets"] * comm.get_world_size() // IDENTITIES
    mine = torch.nonzero(owner == comm.get_rank()).flatten()
    share = {
        name: value.index_select((axes or {}).get(name, 0), mine)
        for name, value in batch.items()
        if not name.startswith("mixed_")
    }
    if "mixed_sources" in batch:
        sources = batch["mixed_sources"]
        here = owner[sources[:, 0]] == comm.get_rank()
        share["mixed_sources"] = torch.searchsorted(mine, sources[here])
        share["mixed_mask"] = batch["mixed_mask"][here]
    return share


def gradients(model, batch, dtype):
    """Losses and, where there is one, the gradient of each parameter."""
    with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
        losses = model(batch)
    sum(losses.values()).backward()
    named = {name.removeprefix("module."): p.grad for name, p in model.named_parameters()}
    return {name: loss.detach() for name, loss in losses.items()}, named


def save_gradients(folder, recipe, dtype):
    """Of DistributedDataParallel on this process's share of the batch; alone, of the joined batch."""
    model, batch = model_and_batch(recipe)
    if comm.get_world_size() > 1:
        batch = share_of(batch)
    found = gradients(distributed(TrainLosses(model)), batch, dtype)
    torch.save(found, Path(folder) / f"{comm.get_world_size()}_{comm.get_rank()}.pth")


AXES = {"part_logits": 1, "part_features": 1}


def save_gradients_of_features(folder, recipe):
    """The same of the losses alone, of what the head gives in bfloat16.

    A process's gradients are divided by the number of processes, as DistributedDataParallel's mean does.
    """
    model, batch = model_and_batch(recipe)
    given = {}
    model.weighted_losses.forward = given.update
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        model.train_losses(dict(batch))
    del model.weighted_losses.forward, given["sizes"]
    if comm.get_world_size() > 1:
        given = share_of(given, AXES)
    leaves = {name: value.requires_grad_() for name, value in given.items() if value.is_floating_point()}
    losses = model.weighted_losses(given)
    sum(losses.values()).backward()
    found = {
        name: leaf.grad / comm.get_world_size() for name, leaf in leaves.items() if leaf.grad is not None
    }
    targets = given["targets"], given["modalities"]
    values = {name: loss.detach() for name, loss in losses.items()}
    torch.save((values, found, targets), Path(folder) / f"{comm.get_world_size()}_{comm.get_rank()}.pth")


def save_all(folder, recipes):
    """Both for several recipes, each into a folder of its own."""
    for recipe, dtype in recipes:
        own = Path(folder) / recipe / str(dtype)
        own.mkdir(parents=True, exist_ok=True)
        save_gradients(own, recipe, dtype)
        if dtype == torch.bfloat16:
            own = Path(folder) / recipe / "features"
            own.mkdir(exist_ok=True)
            save_gradients_of_features(own, recipe)


def save_trained(folder, recipes):
    """The parameters after three steps on this process's share of a batch without mixed images, in which the
    first of two processes has visible images only."""
    for recipe in recipes:
        model, batch = model_and_batch(recipe)
        kept = torch.nonzero((batch["targets"] < 2) | (batch["targets"] > 3)).flatten()
        batch = {name: value[kept] for name, value in batch.items()}
        if comm.get_world_size() > 1:
            batch = share_of(batch)
        file, overrides = RECIPES[recipe]
        cfg = tiny_config(file, **overrides, SOLVER__BASE_LR=1e-3)
        step = OptimizationStep(distributed(TrainLosses(model)), None, build_optimizer(cfg, model), cfg)
        for _ in range(3):
            step(batch)
        own = Path(folder) / recipe
        own.mkdir(parents=True, exist_ok=True)
        torch.save(model.state_dict(), own / f"{comm.get_world_size()}_{comm.get_rank()}.pth")


class SharedMean(nn.BatchNorm2d):
    """Stands in for SyncBN, which needs GPUs: takes the mean over the images of all processes off."""

    def forward(self, x):
        total = torch.cat([x.sum(dim=(0, 2, 3)), x.new_tensor([x[:, 0].numel()])])
        total = torch.distributed.nn.functional.all_reduce(total)
        return x - (total[:-1] / total[-1])[:, None, None]


def save_synchronized(folder):
    """Losses of a step and the gradients of the stems where the first of two processes has no infrared image,
    and every stem's norm asks all processes."""
    model, batch = model_and_batch("AGW")
    for modality in ("visible", "infrared"):
        setattr(model.backbone.bn1, modality, SharedMean(model.backbone.bn1.visible.num_features))
    model.synchronized = True
    kept = torch.nonzero((batch["targets"] < 2) | (batch["targets"] > 3)).flatten()
    batch = {name: value[kept] for name, value in batch.items()}
    if comm.get_world_size() > 1:
        batch = share_of(batch)
    losses, found = gradients(distributed(TrainLosses(model)), batch, torch.float32)
    torch.save((losses, found), Path(folder) / f"{comm.get_world_size()}_{comm.get_rank()}.pth")


def save_features(folder, cases):
    """The embeddings of the first ``count`` test images in batches of ``batch_size``, as the first process
    has them. The number of threads changes the last bits, too: here it is one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for count, batch_size in cases:
        torch.manual_seed(0)
        cfg = tiny_config(TEST__IMS_PER_BATCH=batch_size)
        loader = build_test_loader(cfg, build_dataset(cfg, "SYSUMM01").test[:count])
        features = extract_features(build_model(cfg), loader, views=("image", "red"))
        if comm.is_main_process():
            torch.save(features, Path(folder) / f"{count}_{batch_size}_{comm.get_world_size()}.pth")
    torch.set_num_threads(threads)
