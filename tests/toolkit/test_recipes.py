"""The toolkit's own recipes by its own trainer: each takes a step; one learns, resumes and is evaluated."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from fastreid.engine import DefaultTrainer
from fastreid.utils.checkpoint import Checkpointer
from fastreid.utils.compute_dist import compute_jaccard_distance
from fastreid.utils.events import EventStorage
from torch.nn import functional as F

from configs import tiny_config
from toolkit_recipes import SMALL
from training import SHORT
from vireid import add_vireid_config
from vireid.evaluation import rank_metrics

# What each family of its recipes is made of, in as many files as it takes, small.
FILES = {
    "base.yml": """
MODEL:
  META_ARCHITECTURE: Baseline
  BACKBONE: {NAME: build_resnet_backbone, DEPTH: 18x, FEAT_DIM: 512, LAST_STRIDE: 1}
  HEADS: {NAME: EmbeddingHead, POOL_LAYER: GlobalAvgPool}
  LOSSES: {NAME: ["CrossEntropyLoss", "TripletLoss"], TRI: {MARGIN: 0.3, HARD_MINING: True}}
INPUT: {REA: {ENABLED: True}, FLIP: {ENABLED: True}, PADDING: {ENABLED: True}}
DATALOADER: {SAMPLER_TRAIN: NaiveIdentitySampler}
SOLVER: {AMP: {ENABLED: True}, OPT: Adam, WEIGHT_DECAY: 0.0005}
""",
    "bagtricks.yml": "_BASE_: base.yml",
    "agw.yml": """
_BASE_: base.yml
MODEL:
  BACKBONE: {DEPTH: 50x, FEAT_DIM: 2048, WITH_NL: True}
  HEADS: {POOL_LAYER: GeneralizedMeanPooling}
  LOSSES: {TRI: {MARGIN: 0.0, HARD_MINING: False}}
""",
    "resnest.yml": """
_BASE_: base.yml
MODEL: {BACKBONE: {NAME: build_resnest_backbone, DEPTH: 50x, FEAT_DIM: 2048}}
""",
    "sbs.yml": """
_BASE_: base.yml
MODEL:
  FREEZE_LAYERS: [backbone]
  HEADS:
    {NECK_FEAT: after, POOL_LAYER: GeneralizedMeanPoolingP, CLS_LAYER: CircleSoftmax, SCALE: 64, MARGIN: 0.35}
  LOSSES: {TRI: {MARGIN: 0.0}}
INPUT: {AUTOAUG: {ENABLED: True, PROB: 0.5}}
SOLVER: {SCHED: CosineAnnealingLR, FREEZE_ITERS: 1}
""",
    "vehicles.yml": """
_BASE_: sbs.yml
DATALOADER: {SAMPLER_TRAIN: BalancedIdentitySampler}
SOLVER: {OPT: SGD, BASE_LR: 0.01}
""",
    "mgn.yml": """
_BASE_: sbs.yml
MODEL:
  META_ARCHITECTURE: MGN
  FREEZE_LAYERS: [backbone, b1, b2, b3]
  BACKBONE: {DEPTH: 50x, FEAT_DIM: 2048, WITH_IBN: True}
  HEADS: {EMBEDDING_DIM: 256}
""",
    "vit.yml": """
_BASE_: base.yml
MODEL:
  BACKBONE: {NAME: build_vit_backbone, DEPTH: small, FEAT_DIM: 768, STRIDE_SIZE: [16, 16]}
  HEADS: {POOL_LAYER: Identity}
SOLVER: {AMP: {ENABLED: False}, OPT: SGD, BASE_LR: 0.008, CLIP_GRADIENTS: {ENABLED: True}}
""",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """FILES."""
    folder = tmp_path_factory.mktemp("recipes")
    for name, text in FILES.items():
        (folder / name).write_text(text)
    return folder


def unmoved(cfg, steps):
    """The trainable tensors that are after some steps what they were before."""
    trainer = DefaultTrainer(cfg)
    before = {name: value.detach().clone() for name, value in trainer.model.named_parameters()}
    with EventStorage() as trainer.storage:
        for trainer.iter in range(steps):
            trainer.run_step()
    learnable = [(name, value) for name, value in trainer.model.named_parameters() if value.requires_grad]
    assert learnable
    return [name for name, value in learnable if bool((value == before[name]).all())]


@pytest.mark.parametrize("name", sorted(set(FILES) - {"base.yml"}))
def test_a_step_of_each_family_moves_every_trainable_weight(folder, recipe, name):
    """Frozen layers move in the second step."""
    cfg = recipe(folder / name)
    assert unmoved(cfg, 1 + cfg.SOLVER.FREEZE_ITERS) == []


@pytest.mark.full
@pytest.mark.parametrize(
    "file", sorted(Path(os.environ.get("FASTREID_CONFIGS", "/none")).glob("*/*.yml")) or [None]
)
def test_a_step_of_each_recipe_of_its_repository_moves_every_trainable_weight(recipe, file):
    if file is None:
        pytest.skip("FASTREID_CONFIGS does not name the folder configs/ of FastReID's repository")
    assert unmoved(recipe(file, SOLVER__FREEZE_ITERS=0), 1) == []


TWO_PROCESSES = """
import sys
import vireid
from fastreid.config import get_cfg
from fastreid.engine import DefaultTrainer, launch
from fastreid.utils import comm

def main():
    cfg = get_cfg()
    cfg.merge_from_file(sys.argv[1])
    cfg.merge_from_list(sys.argv[2:])
    trainer = DefaultTrainer(cfg)
    assert comm.get_world_size() == 2
    results = trainer.train()
    print(comm.get_rank(), results and results["mAP"] > 0)

if __name__ == "__main__":
    launch(main, 2, dist_url="auto")
"""


@pytest.mark.full
def test_the_toolkits_launcher_trains_in_two_processes(market, folder, tmp_path):
    (tmp_path / "two.py").write_text(TWO_PROCESSES)
    options = [str(item) for pair in {**SMALL, "OUTPUT_DIR": tmp_path / "two"}.items() for item in pair]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, str(tmp_path / "two.py"), str(folder / "bagtricks.yml"), *options]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert {"0 True", "1 None"} <= set(run.stdout.splitlines())


LEARNING = {
    "MODEL__BACKBONE__NAME": "build_small_resnet_backbone",
    "MODEL__BACKBONE__DEPTH": "10x",
    "MODEL__BACKBONE__FEAT_DIM": 256,
    "INPUT__SIZE_TRAIN": [64, 32],
    "INPUT__SIZE_TEST": [64, 32],
    "DATALOADER__NUM_INSTANCE": 4,
    "SOLVER__IMS_PER_BATCH": 16,
    "SOLVER__BASE_LR": 0.002,
    "SOLVER__MAX_EPOCH": 4,
    "TEST__EVAL_PERIOD": 4,
}


@pytest.fixture
def bagtricks(folder, recipe):
    """A function that gives the recipe with a network of this plugin's that learns in seconds."""
    return lambda **overrides: recipe(
        folder / "bagtricks.yml", keys=add_vireid_config, **LEARNING | overrides
    )


def test_bagtricks_learns_goes_on_and_is_evaluated(bagtricks, tmp_path):
    """Also once more when it is finished; with EVAL_PERIOD 0 after the last epoch; re-ranked."""
    cfg = bagtricks(TEST__EVAL_PERIOD=0)
    trainer = DefaultTrainer(cfg)
    before = DefaultTrainer.test(cfg, trainer.model)
    trainer.resume_or_load(resume=False)
    trained = trainer.train()
    assert trained["mAP"] > before["mAP"] + 15
    finished = DefaultTrainer(cfg)
    finished.resume_or_load(resume=True)
    assert finished.train() == trained
    longer = DefaultTrainer(bagtricks(SOLVER__MAX_EPOCH=5))
    longer.resume_or_load(resume=True)
    assert longer.start_epoch == 4
    state, group = longer.optimizer.state_dict()["state"], longer.optimizer.param_groups[0]
    assert state and group["lr"] == trainer.optimizer.param_groups[0]["lr"]

    cfg = bagtricks(TEST__RERANK__ENABLED=True, MODEL__WEIGHTS=f"{cfg.OUTPUT_DIR}/model_final.pth")
    model = DefaultTrainer.build_model(cfg)
    Checkpointer(model).load(cfg.MODEL.WEIGHTS)
    reranked = DefaultTrainer.test(cfg, model)
    loader, queries = DefaultTrainer.build_test_loader(cfg, "Market1501")
    with torch.no_grad():
        features = torch.cat([model.eval()(batch) for batch in loader])
    _, pids, cams = zip(*loader.dataset.img_items)
    parts = [(np.array(values[:queries]), np.array(values[queries:])) for values in (pids, cams)]
    same_camera = [query[:, None] == gallery for query, gallery in parts]
    features = F.normalize(features)
    for figures, share in ((trained, 0.0), (reranked, 0.7)):
        jaccard = compute_jaccard_distance(features, k1=20, k2=6, search_option=3)[:queries, queries:]
        cosine = 1 - features[:queries] @ features[queries:].T
        expected = rank_metrics(
            share * torch.from_numpy(jaccard) + (1 - share) * cosine,
            *parts[0],
            exclude=np.logical_and(*same_camera),
        ).percent()
        assert {name: figures[name] for name in ("Rank-1", "mAP", "mINP")} == pytest.approx(
            {name: expected[name] for name in ("Rank-1", "mAP", "mINP")}, abs=1e-3
        )


def test_our_command_hands_a_recipe_to_the_toolkits_trainer(bagtricks, command, folder, tmp_path):
    cfg = bagtricks(SOLVER__MAX_EPOCH=1, TEST__EVAL_PERIOD=1)
    settings = {**SMALL, **{key.replace("__", "."): value for key, value in LEARNING.items()}}
    settings |= {"SOLVER.MAX_EPOCH": 1, "TEST.EVAL_PERIOD": 1, "OUTPUT_DIR": cfg.OUTPUT_DIR}
    options = [str(item) for pair in settings.items() for item in pair]
    words = ("--config-file", folder / "bagtricks.yml", *options)
    status, printed, error = command("train", *words)
    assert status == 0, error
    (figures,) = re.findall(r"\| Market1501 .*", printed)
    again = command("train", "--eval-only", *words, "MODEL.WEIGHTS", f"{cfg.OUTPUT_DIR}/model_final.pth")
    assert figures in again[1]


def test_visible_persons_come_before_visible_infrared_ones(
    market, generated_root, command, tmp_path, monkeypatch
):
    """As docs/training.md has it: the trained stem is where both copies start."""
    settings = {**SMALL, **{key.replace("__", "."): value for key, value in LEARNING.items()}}
    settings |= {"SOLVER.MAX_EPOCH": 1, "TEST.EVAL_PERIOD": 1, "MODEL.BACKBONE.WITH_NL": False}
    options = [str(item) for pair in settings.items() for item in pair]
    first = ("--config-file", "vireid/visible", *options, "OUTPUT_DIR", tmp_path / "market")
    assert command("train", *first)[0] == 0
    monkeypatch.setenv("FASTREID_DATASETS", str(generated_root))
    cfg = tiny_config(
        **SHORT,
        MODEL__BACKBONE__WIDTH=32,
        MODEL__WEIGHTS=str(tmp_path / "market" / "model_final.pth"),
        MODEL__WEIGHTS_STRICT=False,
        OUTPUT_DIR=str(tmp_path / "sysu"),
    )
    trainer = DefaultTrainer(cfg)
    trainer.resume_or_load(resume=False)
    trained = torch.load(cfg.MODEL.WEIGHTS, weights_only=True)["model"]["backbone.conv1.weight"]
    for modality in ("visible", "infrared"):
        assert torch.equal(trainer.model.backbone.conv1.get_submodule(modality).weight, trained)
