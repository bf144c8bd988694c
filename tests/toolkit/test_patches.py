"""Each patch of vireid.host: what it mends works with it, and fails without it."""

import os
import re
from argparse import Namespace
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest
import torch
from fastreid.config import get_cfg
from fastreid.data import build_reid_test_loader
from fastreid.data.data_utils import DataLoaderX
from fastreid.engine import DefaultPredictor, DefaultTrainer, defaults, hooks, launch, train_loop
from fastreid.evaluation import ReidEvaluator, evaluator, roc
from fastreid.layers.any_softmax import ArcSoftmax
from fastreid.modeling import meta_arch
from fastreid.modeling.meta_arch.baseline import Baseline
from fastreid.modeling.meta_arch.mgn import MGN
from fastreid.solver import build
from fastreid.utils import compute_dist
from fastreid.utils.checkpoint import Checkpointer
from fastreid.utils.events import EventStorage
from sklearn.metrics import roc_auc_score
from torch import nn

from configs import tiny_config
from training import SHORT
from vireid import host
from vireid.engine import VIReIDTrainer
from vireid.errors import ConfigError
from vireid.host.patching import CORRECTED, PROVIDED, REPLACED

PAGE = Path(__file__).parents[2] / "docs" / "fastreid.md"
CHECKS: dict[str, Callable] = {}


def checks(target):
    """Decorate what holds with the patch of ``target``, and fails in any way without it."""
    return lambda function: CHECKS.setdefault(target, function)


@pytest.fixture
def cfg(datasets, tmp_path):
    """The baseline of this plugin, small."""
    return tiny_config(**{**SHORT, "OUTPUT_DIR": str(tmp_path / "out")})


@pytest.mark.parametrize("patch", REPLACED, ids=lambda patch: patch.target.partition(".")[2])
def test_a_replacement_is_needed(patch, cfg, tmp_path):
    if patch.target in NEEDS_NO_GPU and torch.cuda.is_available():
        pytest.skip("the toolkit's own works on a GPU")
    check = CHECKS[patch.target]
    check(cfg, tmp_path)
    patch.switch(False)
    try:
        with pytest.raises((Exception, SystemExit, pytest.fail.Exception)):
            check(cfg, tmp_path)
    finally:
        patch.switch(True)


NEEDS_NO_GPU = {
    "fastreid.data.data_utils:DataLoaderX.__init__",
    "fastreid.modeling.meta_arch.build:build_model",
    "fastreid.engine.launch:_distributed_worker",
}


@checks("fastreid.config.config:CfgNode.merge_from_file")
def _(cfg, folder):
    cfg.merge_from_file("vireid/demo")


@checks("fastreid.engine.defaults:DefaultTrainer.__init__")
def _(cfg, folder):
    assert isinstance(DefaultTrainer(cfg), VIReIDTrainer)


@checks("fastreid.engine.defaults:DefaultTrainer.test")
def _(cfg, folder):
    assert DefaultTrainer.test(cfg, meta_arch.build_model(cfg)).keys() == {"SYSUMM01"}


@checks("fastreid.data.build:build_reid_train_loader")
def _(cfg, folder):
    assert "modalities" in next(iter(defaults.build_reid_train_loader(cfg)))


@checks("fastreid.data.build:build_reid_test_loader")
def _(cfg, folder):
    assert "modalities" in next(iter(defaults.build_reid_test_loader(cfg, dataset_name="SYSUMM01")[0]))


@checks("fastreid.evaluation.evaluator:inference_on_dataset")
def _(cfg, folder):
    loader, queries = build_reid_test_loader(cfg, dataset_name="SYSUMM01")
    model = meta_arch.build_model(cfg)
    assert "metric" in evaluator.inference_on_dataset(model, loader, ReidEvaluator(cfg, queries))


@checks("fastreid.evaluation.reid_evaluation:ReidEvaluator.evaluate")
def _(cfg, folder):
    with pytest.raises(ConfigError):
        ReidEvaluator(cfg, 1).evaluate()


@checks("fastreid.engine.defaults:DefaultPredictor.__call__")
def _(cfg, folder):
    assert DefaultPredictor(cfg)(torch.rand(1, 3, 64, 32), modality="infrared").shape == (1, 64)


@checks("fastreid.utils.checkpoint:Checkpointer._load_file")
def _(cfg, folder):
    torch.save(
        {"model": {"weight": torch.ones(1, 1), "bias": torch.ones(1)}, "metric": np.float64(3)},
        folder / "a.pth",
    )
    assert Checkpointer(nn.Linear(1, 1)).load(str(folder / "a.pth"))["metric"] == 3


@checks("fastreid.utils.checkpoint:Checkpointer._load_model")
def _(cfg, folder):
    model = meta_arch.build_model(cfg)
    torch.save({"model": {"backbone.bn1.weight": torch.full((8,), 3.0)}}, folder / "b.pth")
    Checkpointer(model).load(str(folder / "b.pth"))
    assert (model.backbone.bn1.infrared.weight == 3).all()


@checks("fastreid.utils.compute_dist:build_dist")
def _(cfg, folder):
    """Without memory for all pairs: equal figures are compared in test_recipes."""
    with mock.patch.object(compute_dist, "compute_jaccard_distance", side_effect=MemoryError):
        features = torch.eye(4)
        assert compute_dist.build_dist(features[:1], features[1:], "jaccard", k1=2, k2=1).shape == (1, 3)


@checks("fastreid.evaluation.roc:evaluate_roc")
def _(cfg, folder):
    pids, cams = np.array([1, 2, 3]), np.array([1, 1, 1])
    scores, labels = roc.evaluate_roc(1.0 - np.eye(3), pids, pids, cams, cams + 1)
    assert roc_auc_score(labels, scores) == 1 and labels.sum() == 3  # matched pairs


def test_a_perfect_ranking_accepts_every_matched_pair_and_no_other():
    """By the toolkit's evaluator, with the threshold below which a distance is accepted."""
    theirs = get_cfg()
    theirs.TEST.ROC.ENABLED = True
    counting = ReidEvaluator(theirs, 10)
    for camera in (0, 1):
        labels = {"targets": torch.arange(10), "camids": torch.full((10,), camera)}
        counting.process(labels, torch.eye(10))
    found = counting.evaluate()
    for rate in ("1e-04", "1e-03", "1e-02"):
        assert found[f"TPR@FPR={rate}"] == 1 and found[f"threshold@FPR={rate}"] == pytest.approx(1)


@checks("fastreid.engine.launch:_distributed_worker")
def _(cfg, folder):
    seen = []
    with mock.patch("vireid.host.processes.join_process_group") as joined, mock.patch.dict(os.environ):
        launch.__globals__["_distributed_worker"](1, seen.append, 4, 2, 1, "tcp://127.0.0.1:1", (5,))
        names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
        assert [os.environ[name] for name in names] == ["3", "4", "1", "2"]
    joined.assert_called_once_with("cuda", "tcp://127.0.0.1:1")
    assert seen == [5]


@checks("fastreid.layers.any_softmax:ArcSoftmax.forward")
def _(cfg, folder):
    cosines = torch.tensor([[1.0, 0.5]], requires_grad=True)
    ArcSoftmax(2, 8.0, 0.25)(cosines, torch.tensor([0])).sum().backward()
    assert cosines.grad.isfinite().all()


@checks("fastreid.solver.build:build_optimizer")
def _(cfg, folder):
    model = nn.Linear(1, 1)
    optimizer = build.build_optimizer(cfg, model)
    before = model.weight.item()
    optimizer.zero_grad()
    model(torch.ones(1, 1)).sum().backward()
    optimizer.step()
    assert model.weight.item() != before
    again, parameters = optimizer
    assert again is optimizer and parameters.buffer_is_valid()


@checks("fastreid.data.data_utils:DataLoaderX.__init__")
def _(cfg, folder):
    assert list(DataLoaderX(0, dataset=[1, 2], batch_size=1, pin_memory=True)) == [
        torch.tensor([1]),
        torch.tensor([2]),
    ]


@checks("fastreid.modeling.meta_arch.build:build_model")
def _(cfg, folder):
    cfg.MODEL.DEVICE = "cuda"
    assert meta_arch.build_model(cfg).device.type == "cpu"


def normalizes_once(kind, cfg, folder):
    model = SimpleNamespace(pixel_mean=torch.ones(1), pixel_std=torch.ones(1), device=torch.device("cpu"))
    batch = {"images": torch.full((1, 3, 2, 2), 5, dtype=torch.uint8), "targets": torch.ones(1)}
    for images in (batch, batch["images"]):
        assert (kind.preprocess_image(model, images) == 4).all()
    assert (batch["images"] == 5).all()


checks("fastreid.modeling.meta_arch.baseline:Baseline.preprocess_image")(partial(normalizes_once, Baseline))
checks("fastreid.modeling.meta_arch.mgn:MGN.preprocess_image")(partial(normalizes_once, MGN))


class Loss(nn.Linear):
    def forward(self, batch):
        return {"loss": super().forward(batch).sum()}


@checks("fastreid.engine.train_loop:AMPTrainer.run_step")
def _(cfg, folder):
    model = Loss(1, 1)
    trainer = train_loop.AMPTrainer(model, [torch.ones(1, 1)], *build.build_optimizer(cfg, model))
    before = model.weight.item()
    with EventStorage():
        trainer.run_step()
    assert model.weight.item() != before


@checks("fastreid.engine.defaults:DistributedDataParallel")
def _(cfg, folder):
    store = f"file://{folder}/store"
    torch.distributed.init_process_group("gloo", init_method=store, rank=0, world_size=1)
    try:
        defaults.DistributedDataParallel(nn.Linear(1, 1), device_ids=[0], broadcast_buffers=False)
    finally:
        torch.distributed.destroy_process_group()


@checks("fastreid.engine.hooks:EvalHook.__init__")
def _(cfg, folder):
    asked = mock.Mock(return_value={"mAP": 1.0})
    hook = hooks.EvalHook(0, asked)
    hook.trainer = SimpleNamespace(epoch=1, max_epoch=2, storage=mock.Mock())
    hook.after_epoch()
    asked.assert_not_called()
    hook.after_train()
    asked.assert_called_once_with()


@checks("fastreid.engine.defaults:DefaultTrainer.train")
def _(cfg, folder):
    finished = SimpleNamespace(start_epoch=2, max_epoch=2, test=lambda *args: args, cfg=1, model=2)
    assert DefaultTrainer.train(finished) == (1, 2)


@checks("fastreid.engine.defaults:DefaultTrainer.auto_scale_hyperparams")
def _(cfg, folder):
    theirs = get_cfg()
    theirs.OUTPUT_DIR = str(folder / os.urandom(4).hex())
    assert DefaultTrainer.auto_scale_hyperparams(theirs, 7).MODEL.HEADS.NUM_CLASSES == 7


@checks("fastreid.engine.defaults:default_setup")
def _(cfg, folder):
    defaults.default_setup(cfg, Namespace(config_file="vireid/sysu", eval_only=True))


@checks("fastreid.evaluation.reid_evaluation:ReidEvaluator._compile_dependencies")
def _(cfg, folder):
    with mock.patch("fastreid.evaluation.reid_evaluation.compile_helper", side_effect=SystemExit):
        ReidEvaluator(get_cfg(), 1)


WITHOUT = """
import sys
import vireid
from vireid.host.patching import CORRECTED, PROVIDED
for patches in (CORRECTED, PROVIDED):
    patches[:] = [patch for patch in patches if patch.target not in sys.argv[1:]]
"""


@pytest.mark.parametrize(
    "target", ["collections:Mapping", "torch._six:string_classes", "torchvision:ops", "faiss"]
)
def test_the_toolkit_cannot_be_imported_without_what_is_provided(python, target):
    if target == "torchvision:ops" and python("import torchvision").returncode == 0:
        pytest.skip("this torchvision is built for this PyTorch")
    code = WITHOUT + ("sys.modules['faiss'] = None\n" if target == "faiss" else "")
    run = python(code + "import fastreid.engine", target)
    assert run.returncode == 1
    assert re.search(r"Mapping|torch\._six|torchvision::|faiss", run.stderr.splitlines()[-1])


CORRECT = """
import numpy
vars(numpy).pop("bool")
import fastreid.engine
from fastreid.config import get_cfg
from fastreid.evaluation.rank import eval_cuhk03
from fastreid.modeling.backbones.regnet import effnet, regnet
faults = []
def expect(name, check):
    try:
        assert check()
    except Exception:
        faults.append(name)
def size(depth):
    cfg = get_cfg()
    cfg.MODEL.BACKBONE.PRETRAIN, cfg.MODEL.BACKBONE.DEPTH = False, depth
    return sum(p.numel() for p in regnet.build_regnet_backbone(cfg).parameters())
one, two = numpy.zeros(1), numpy.ones(1)
expect("numpy:bool", lambda: eval_cuhk03(numpy.zeros((1, 1)), one, one, one, two, 1))
expect("fastreid.evaluation:evaluate_rank", lambda: fastreid.evaluation.evaluate_rank)
regnets = "fastreid.modeling.backbones.regnet.regnet"
expect(f"{regnets}:model_urls", lambda: "RegNetX-200MF" in regnet.model_urls["200x"])
expect(f"{regnets}:regnet_cfg", lambda: size("200x") == (size("200y"), size("200x"))[1])
print(*faults)
"""


def test_values_are_wrong_without_what_is_corrected(python):
    targets = ["numpy:bool", *(patch.target for patch in CORRECTED)]
    run = python(WITHOUT + CORRECT, *targets)
    assert sorted(run.stdout.split()) == sorted(targets), run.stderr
    run = python(WITHOUT + CORRECT)
    assert run.stdout.split() == [], run.stderr


def test_without_faiss_the_toolkit_says_what_to_install_where_it_calls_it(python):
    run = python(
        "import sys\nsys.modules['faiss'] = None\nimport vireid, torch, fastreid.engine\n"
        "from fastreid.utils.compute_dist import build_dist, compute_jaccard_distance\n"
        "compute_jaccard_distance(torch.eye(3), search_option=3)\n"
    )
    last = run.stderr.splitlines()[-1]
    assert re.match(
        r"ImportError: FastReID calls faiss\.\w+, and faiss cannot be imported \(.*\): pip install", last
    )


def test_every_patch_is_tested_and_stands_on_the_page():
    assert CHECKS.keys() == {patch.target for patch in REPLACED}
    assert len(host.patches()) == len(PROVIDED) + len(CORRECTED) + len(REPLACED)
    section = PAGE.read_text(encoding="utf-8").partition("## What is patched")[2]
    rows = re.findall(r"^\| `([^`]+)` \| (.*) \|$", section, re.MULTILINE)
    assert rows == host.patches()
