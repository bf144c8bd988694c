"""Every backbone in every method: two steps of training, evaluation, a checkpoint and back.

The tests run it for the smallest variant of each family, ``make test-all`` for every variant;
``tools/backbone_table.py`` runs every variant, too, and writes down what became of it.
"""

import functools
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from fastreid.modeling import build_model
from torch import Tensor, nn

from configs import tiny_config
from vireid.engine.checkpoints.checkpoint import AtomicCheckpointer
from vireid.engine.step import OptimizationStep, build_optimizer
from vireid.errors import ConfigError
from vireid.modeling.families import FAMILIES

METHODS = {
    "baseline": "VIReID/configs/sysu.yml",
    "PMCM": "PMCM/configs/sysu.yml",
    "MCJA": "MCJA/configs/sysu.yml",
    "CAJ": "CAJ/configs/sysu.yml",
    "DEEN": "DEEN/configs/sysu.yml",
}
OWN_GEM = ("MCJA", "CAJ")  # whose generalized mean takes features of either sign
REFUSED = {  # no maps, or none at 1/4 of the image
    *(("vit", method) for method in ("PMCM", "MCJA", "DEEN")),
    *(("vit_map", method) for method in ("MCJA", "DEEN")),
    ("shufflenetv2", "DEEN"),
}
STRIDE_32 = ("shufflenetv2", "mobilenetv2", "mobilenetv3")  # whatever LAST_STRIDE says
# Two identities, visible and infrared, in no order.
MODALITIES = torch.tensor([1, 0, 0, 1, 0, 1, 1, 0])
TARGETS = torch.tensor([0, 0, 1, 1, 1, 0, 1, 0])


@dataclass(frozen=True)
class Variant:
    """A backbone: family and depth, and the options that are True."""

    family: str
    depth: str
    options: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "-".join((self.family, self.depth, *self.options))

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the smallest images that give PMCM a feature map of two rows, and the
        instance norm in the last stage of ResNeXt more than one place."""
        last_stage_ibn = self.family == "resnext" and "WITH_IBN" in self.options
        return (64, 32) if self.family in STRIDE_32 or last_stage_ibn else (32, 32)

    def config(self, method: str, **overrides: Any) -> Any:
        """The method's published config with this backbone, at its smallest size."""
        settings: dict[str, Any] = {
            "MODEL__BACKBONE__NAME": f"build_{self.family}_backbone",
            "MODEL__BACKBONE__DEPTH": self.depth,
            "MODEL__HEADS__PARTS__COUNT": 2,
            "MODEL__HEADS__NUM_CLASSES": 2,
            "INPUT__SIZE_TRAIN": self.size,
            "INPUT__SIZE_TEST": self.size,
            # Small enough that the statistics of the last step still fit the weights after it.
            "SOLVER__BASE_LR": 1e-4,
            **{f"MODEL__BACKBONE__{option}": True for option in self.options},
        }
        if self.depth == "269x":  # whose gradients, untrained, move the stem by thousands in a step
            settings["SOLVER__CLIP_GRADIENTS__ENABLED"] = True
        if self.family in ("vit", "vit_map", "effnet") and method not in OWN_GEM:
            settings["MODEL__HEADS__POOL_LAYER"] = "GlobalAvgPool"  # its features have either sign
        return tiny_config(METHODS[method], **{**settings, **overrides})


SMALLEST = (
    Variant("resnet", "18x"),
    Variant("resnext", "50x"),
    Variant("resnest", "50x"),
    Variant("osnet", "x0_25"),
    Variant("regnet", "200x"),
    Variant("regnet", "200y"),
    Variant("effnet", "b0"),
    Variant("shufflenetv2", "0.5x"),
    Variant("mobilenetv2", "0.1x"),
    Variant("mobilenetv3", "Small"),
    Variant("repvgg", "A0"),
    Variant("vit", "small"),
    Variant("vit_map", "small"),
)


# Options of the families that have any; every depth is run without them, too.
WITH_OPTIONS = [
    *(Variant("resnet", depth, (option,)) for depth in ("18x", "34x") for option in ("WITH_IBN", "WITH_SE")),
    *(
        Variant("resnet", depth, options)
        for depth in ("50x", "101x")
        for options in (("WITH_IBN",), ("WITH_SE",), ("WITH_NL",), ("WITH_IBN", "WITH_SE", "WITH_NL"))
    ),
    *(
        Variant("resnext", depth, options)
        for depth in ("50x", "101x")
        for options in (("WITH_IBN",), ("WITH_NL",))
    ),
    *(Variant("osnet", depth, ("WITH_IBN",)) for depth in FAMILIES["build_osnet_backbone"].depths),
]
PLAIN = [
    Variant(name.removeprefix("build_").removesuffix("_backbone"), depth)
    for name, family in FAMILIES.items()
    if name != "build_small_resnet_backbone"
    for depth in family.depths
]
FAMILY_ORDER = list(dict.fromkeys(variant.family for variant in PLAIN))
VARIANTS = sorted(PLAIN + WITH_OPTIONS, key=lambda variant: FAMILY_ORDER.index(variant.family))


@dataclass
class Outcome:
    """What became of a variant in a method; ``refused`` is the reason it cannot be."""

    parameters: int = 0
    seconds: float = 0.0
    refused: str = ""


def random_batch(size: tuple[int, int], seed: int = 0) -> dict[str, Tensor]:
    """Eight random images of two identities in both modalities, in no order."""
    generator = torch.Generator().manual_seed(seed)
    shape = (len(TARGETS), 3, *size)
    return {
        "images": torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator),
        "targets": TARGETS,
        "camids": torch.zeros_like(TARGETS),
        "modalities": MODALITIES,
    }


def follow_last_batch(model: nn.Module) -> None:
    """Make the running statistics those of the last batch: after two steps at the momentum of 0.1 they
    would be mostly the initial ones, and non-local blocks, cubic in what they get, overflow on that."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = 1.0


@functools.cache
def two_stream(variant: Variant) -> nn.Module:
    """The baseline of a variant, built once; a test that changes it takes a copy.

    Its running statistics are those of a batch: with the initial ones, images fade on their way through
    EfficientNet and MobileNetV3.
    """
    torch.manual_seed(0)
    model = build_model(variant.config("baseline"))
    follow_last_batch(model)
    model.train()(random_batch(variant.size))
    return model


def train_step(trainer: OptimizationStep, size: tuple[int, int], seed: int) -> dict[str, float]:
    """One step on a batch of this seed; all that is drawn in it depends on the seed alone."""
    torch.manual_seed(seed)
    trainer.model.train()
    return trainer(random_batch(size, seed))


def embed(model: nn.Module, size: tuple[int, int]) -> Tensor:
    """Embeddings (8, D) of a batch."""
    with torch.no_grad():
        return model.eval()(random_batch(size, seed=9))


def run(variant: Variant, method: str, folder: Path, *, resume: bool = True, **overrides: Any) -> Outcome:
    """Train two steps, evaluate, save; then build anew, load, and compare.

    Args:
        resume: save the optimizer, too, and compare a third step of both models.

    Raises:
        AssertionError: a tensor did not learn, or the loaded model is another.
    """
    started = time.perf_counter()
    cfg = variant.config(method, **overrides)

    def trainer_and_checkpointer(seed: int) -> tuple[OptimizationStep, AtomicCheckpointer]:
        torch.manual_seed(seed)
        model = build_model(cfg)
        follow_last_batch(model)
        optimizer = build_optimizer(cfg, model)
        saved = {"optimizer": optimizer} if resume else {}
        return OptimizationStep(model, None, optimizer, cfg), AtomicCheckpointer(model, str(folder), **saved)

    try:
        trainer, checkpointer = trainer_and_checkpointer(seed=0)
    except ConfigError as error:
        return Outcome(refused=str(error), seconds=time.perf_counter() - started)
    parameters = dict(trainer.model.named_parameters())
    before = {name: value.detach().clone() for name, value in parameters.items()}
    for seed in (1, 2):
        train_step(trainer, variant.size, seed)
    learnable = {name: value for name, value in parameters.items() if value.requires_grad}
    without = [name for name, value in learnable.items() if value.grad is None]
    assert not without, f"{without} have no gradient"
    # A gradient may be zero (a dead unit of OSNet's narrow gates) or too small to change a number near 1.
    still = [
        name
        for name, value in learnable.items()
        if value.grad.abs().max() > 0.01 and torch.equal(value, before[name])
    ]
    assert not still, f"two steps left {still} as they were"
    embeddings = embed(trainer.model, variant.size)
    assert len(embeddings) == len(TARGETS)
    assert bool(torch.isfinite(embeddings).all()), "embeddings are not finite"
    checkpointer.save("model")

    other, other_checkpointer = trainer_and_checkpointer(seed=1)
    other_checkpointer.load(str(folder / "model.pth"))
    assert torch.equal(embed(other.model, variant.size), embeddings), "the loaded model embeds otherwise"
    if resume:
        losses = train_step(trainer, variant.size, seed=3)
        assert train_step(other, variant.size, seed=3) == losses, "the loaded model learns otherwise"
    (folder / "model.pth").unlink()
    total = sum(value.numel() for value in parameters.values())
    return Outcome(parameters=total, seconds=time.perf_counter() - started)
