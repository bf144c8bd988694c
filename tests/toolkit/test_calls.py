"""The toolkit's own calls with a config of this plugin: they do what ours do."""

import logging
from argparse import Namespace

import pytest
import torch
from fastreid.config import get_cfg
from fastreid.data import build_reid_test_loader, build_reid_train_loader
from fastreid.engine import DefaultPredictor, DefaultTrainer, default_setup
from fastreid.engine.hooks import CallbackHook
from fastreid.evaluation import ReidEvaluator, inference_on_dataset
from fastreid.modeling import build_model
from fastreid.modeling.meta_arch.baseline import Baseline
from fastreid.solver import build_lr_scheduler, build_optimizer
from fastreid.utils.checkpoint import Checkpointer

from configs import PROJECTS, TINY, tiny_config
from pmcm import add_pmcm_config
from training import SHORT, trainer_of
from vireid import Embedder, add_vireid_config
from vireid.data import build_train_loader
from vireid.engine import VIReIDTrainer
from vireid.engine.evaluation import evaluate_model
from vireid.engine.reports import best_metric
from vireid.errors import ConfigError, DatasetError, ImageError

PMCM = "PMCM/configs/sysu.yml"


@pytest.fixture
def cfg(datasets, tmp_path):
    """PMCM, small, as a user of the toolkit has it: merged, not checked."""
    return tiny_config(PMCM, **{**SHORT, "OUTPUT_DIR": str(tmp_path / "out")})


def test_a_file_is_merged_by_path_or_name_with_all_its_bases():
    """_BASE_ as a list, a name and a file beside it, under a directory of configs without ours."""
    by_path, by_name = get_cfg(), get_cfg()
    for cfg, name in ((by_path, PROJECTS / "PMCM/configs/demo.yml"), (by_name, "pmcm/demo")):
        add_pmcm_config(cfg)
        cfg.merge_from_file(str(name))
    assert by_path == by_name
    assert (by_name.MODEL.BACKBONE.WIDTH, by_name.MODEL.PATCH_MIX.RATIO) == (24, 0.25)


@pytest.mark.parametrize(
    ("add_config", "name", "message"),
    [
        (
            lambda cfg: None,
            "vireid/sysu",
            r"unknown config key .*; call vireid.add_vireid_config\(cfg\) first",
        ),
        (add_vireid_config, "pmcm/sysu", r"key MODEL.(PATCH_MIX|HEADS.PARTS) .*; call pmcm.add_pmcm_config"),
        (add_vireid_config, "mcja/sysu", r"unknown config key .*; call mcja.add_mcja_config\(cfg\) first"),
        (add_vireid_config, "pmcm/suso", "no file pmcm/suso, and no config of that name"),
    ],
)
def test_a_key_whose_function_was_not_called_is_named_with_it(add_config, name, message):
    cfg = get_cfg()
    add_config(cfg)
    with pytest.raises(ConfigError, match=message) as raised:
        cfg.merge_from_file(name)
    assert "\n" not in str(raised.value)


def test_a_recipe_of_the_toolkits_gets_the_toolkits_defaults_back(tmp_path):
    (tmp_path / "recipe.yml").write_text(
        "MODEL: {META_ARCHITECTURE: Baseline}\nDATALOADER: {NUM_WORKERS: 1}\n"
    )
    cfg = get_cfg()
    add_pmcm_config(cfg)
    cfg.merge_from_file(str(tmp_path / "recipe.yml"))
    assert cfg.MODEL.BACKBONE.FEAT_DIM == get_cfg().MODEL.BACKBONE.FEAT_DIM == 2048
    assert (cfg.DATALOADER.SAMPLER_TRAIN, cfg.DATALOADER.NUM_WORKERS) == ("TrainingSampler", 1)


def weights(folder):
    return torch.load(folder / "model_final.pth", weights_only=True)["model"]


def test_the_trainer_of_the_toolkit_trains_the_same_weights_and_goes_on(cfg, tmp_path):
    ours = trainer_of(tmp_path / "ours", PMCM)
    ours.resume_or_load(resume=False)
    expected = ours.train()
    torch.rand(3)  # what was drawn before does not matter
    trainer = DefaultTrainer(cfg)
    trainer.resume_or_load(resume=False)
    assert trainer.train() == expected
    first, second = weights(tmp_path / "ours"), weights(tmp_path / "out")
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    again = DefaultTrainer(cfg)
    again.resume_or_load(resume=True)
    assert again.train() == expected


def test_what_a_subclass_overrides_stays_overridden(cfg):
    seen = []

    class Watched(DefaultTrainer):
        def __init__(self, cfg):
            super().__init__(cfg)
            self.note = "made"

        def build_hooks(self):
            return [
                *super().build_hooks(),
                CallbackHook(after_step=lambda trainer: seen.append(trainer.iter)),
            ]

    trainer = Watched(cfg)
    assert isinstance(trainer, Watched) and isinstance(trainer, VIReIDTrainer) and trainer.note == "made"
    trainer.resume_or_load(resume=False)
    assert trainer.train().keys() == {"SYSUMM01"}
    assert seen == list(range(len(seen))) != []


def test_evaluation_only_as_in_train_net(cfg, tmp_path):
    trained = trainer_of(tmp_path / "ours", PMCM)
    trained.checkpoints.save_epoch("model_final", 0)
    cfg.MODEL.WEIGHTS = str(tmp_path / "ours" / "model_final.pth")
    default_setup(cfg, Namespace(config_file="pmcm/sysu", eval_only=True))
    model = DefaultTrainer.build_model(cfg)
    Checkpointer(model).load(cfg.MODEL.WEIGHTS)
    expected = evaluate_model(cfg, trained.model)
    assert DefaultTrainer.test(cfg, model) == expected
    loader, queries = build_reid_test_loader(cfg, dataset_name="SYSUMM01")
    assert 0 < queries < len(loader.dataset)
    modalities = torch.cat([batch["modalities"] for batch in loader])
    assert modalities[:queries].all() and not modalities[queries:].any()
    found = inference_on_dataset(model, loader, ReidEvaluator(cfg, queries))
    assert found.pop("metric") == best_metric(expected, cfg.TEST.BEST_METRIC)
    assert found == {
        f"{row}/{k}": v for row, figures in expected["SYSUMM01"].items() for k, v in figures.items()
    }


def test_a_plain_loop_as_in_plain_train_net(cfg):
    cfg.MODEL.HEADS.NUM_CLASSES = 12
    loader, model = build_reid_train_loader(cfg), build_model(cfg).train()
    expected = build_train_loader(cfg)
    assert len(loader) == len(expected) and len(loader.dataset) == len(expected.dataset)
    optimizer = build_optimizer(cfg, model)
    schedule = build_lr_scheduler(cfg, optimizer, len(loader))
    checkpointer = Checkpointer(model, cfg.OUTPUT_DIR, optimizer=optimizer, **schedule)
    assert checkpointer.resume_or_load("", resume=False) == {}
    before = model.backbone.layer1[0].conv1.weight.clone()
    batches = iter(loader)
    for _ in range(len(loader) + 1):  # it goes on after an epoch
        losses = sum(model(next(batches)).values())
        optimizer.zero_grad()
        losses.backward()
        optimizer.step()
    assert not torch.equal(model.backbone.layer1[0].conv1.weight, before)
    expected.batch_sampler.set_epoch(0, 0)
    assert next(batch["img_paths"] for batch in expected) == next(iter(loader))["img_paths"]


def test_the_predictor_takes_a_modality_or_looks_at_the_colors(cfg, tmp_path, caplog):
    trainer_of(tmp_path / "ours", PMCM).checkpoints.save_epoch("model_final", 0)
    cfg.MODEL.WEIGHTS = str(tmp_path / "ours" / "model_final.pth")
    predictor, embedder = DefaultPredictor(cfg), Embedder.from_config(cfg)
    colored = torch.randint(0, 256, (2, 3, 64, 32), dtype=torch.uint8)
    images = torch.cat([colored, colored[:, :1].expand(-1, 3, -1, -1)])
    logging.getLogger("fastreid").propagate = True
    with caplog.at_level(logging.INFO, "fastreid"):
        for modality in ("auto", "visible", "infrared", ["visible", "auto", "infrared", "auto"]):
            found = torch.nn.functional.normalize(predictor(images.float(), modality=modality))
            expected = torch.from_numpy(embedder.embed(list(images), modality))
            torch.testing.assert_close(found, expected)
        assert torch.equal(predictor(images), predictor(images, modality="auto"))
        assert torch.equal(predictor.model({"images": images.float()}).cpu(), predictor(images))
    assert caplog.text.count("has no modalities") == 1
    with pytest.raises(ImageError, match="modality is 'thermal'"):
        predictor(images, modality="thermal")


def one_stream(**overrides):
    """A model of the toolkit's that has our small backbone."""
    settings = {"MODEL__META_ARCHITECTURE": "Baseline", "MODEL__HEADS__NAME": "EmbeddingHead", **overrides}
    return build_model(tiny_config(MODEL__BACKBONE__FEAT_DIM=64, **settings)).eval()


def test_weights_of_one_stream_fill_every_copy_of_a_stem(cfg, datasets, tmp_path, caplog):
    """By MODEL.WEIGHTS and by the toolkit's checkpointer; the embeddings are the one-stream model's."""
    torch.manual_seed(1)
    theirs = one_stream(MODEL__HEADS__NUM_CLASSES=7)
    assert type(theirs) is Baseline
    Checkpointer(theirs, str(tmp_path)).save("market", metric=torch.tensor(1.0).numpy()[()])
    cfg = tiny_config(
        **{**SHORT, "OUTPUT_DIR": str(tmp_path / "two"), "MODEL__WEIGHTS": str(tmp_path / "market.pth")},
        MODEL__WEIGHTS_STRICT=False,
    )
    trainer = DefaultTrainer(cfg)
    logging.getLogger("fastreid").propagate = True
    with caplog.at_level(logging.INFO, "fastreid"):
        trainer.resume_or_load(resume=False)
    assert "backbone.conv1, backbone.bn1 fill the copies of every modality" in caplog.text
    loaded = build_model(cfg)
    Checkpointer(loaded).load(cfg.MODEL.WEIGHTS)
    images = torch.rand(3, 3, 64, 32) * 255
    with torch.no_grad():
        expected = theirs({"images": images.clone()})
        for model in (trainer.model.eval(), loaded.eval()):
            for modality in (0, 1):
                found = model({"images": images, "modalities": torch.full((3,), modality)})
                torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda cfg: build_reid_train_loader(cfg, sampler=1), ConfigError, "sampler cannot be given with"),
        (lambda cfg: ReidEvaluator(cfg, 2).evaluate(), ConfigError, "cannot score MODEL.META_ARCHITECTURE"),
        (lambda cfg: build_reid_test_loader(cfg, dataset_name="Market"), ConfigError, "names 'Market'"),
        (lambda cfg: DefaultTrainer.test(cfg, None), ConfigError, "DATASETS.TESTS is empty"),
        (DefaultTrainer, ConfigError, "SOLVER.OPT is 'Lamb'"),
        (
            lambda cfg: build_model(cfg).train()({"images": torch.rand(1, 3, 64, 32)}),
            ValueError,
            "modalities",
        ),
    ],
)
def test_a_call_that_cannot_serve_a_config_of_ours_says_so(cfg, call, error, message):
    cfg.SOLVER.OPT, cfg.DATASETS.TESTS = "Lamb", ()
    with pytest.raises(error, match=message) as raised:
        call(cfg)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("overrides", "error", "message"),
    [
        (
            {"TEST.RERANKER": "MSER"},
            ConfigError,
            "TEST.RERANKER is 'MSER', and has no effect with MODEL.META_ARCH",
        ),
        (
            {"DATALOADER.SAMPLER_TRAIN": "AGWIdentitySampler"},
            ConfigError,
            "is for MODEL.META_ARCHITECTURE VIReID",
        ),
        ({"DATASETS.NAMES": ["Market"]}, DatasetError, r"DATASETS.NAMES is \['Market'\]: No object named"),
        ({"DATASETS.NAMES": ["MSMT17"]}, DatasetError, "FASTREID_DATASETS names the folder"),
    ],
)
def test_a_recipe_of_the_toolkits_with_keys_of_ours_is_refused(market, tmp_path, overrides, error, message):
    (tmp_path / "recipe.yml").write_text("MODEL: {META_ARCHITECTURE: Baseline}")
    cfg = get_cfg()
    add_vireid_config(cfg)
    cfg.merge_from_file(str(tmp_path / "recipe.yml"))
    settings = {"OUTPUT_DIR": str(tmp_path), "MODEL.DEVICE": TINY["MODEL.DEVICE"], **overrides}
    cfg.merge_from_list([item for pair in settings.items() for item in pair])
    with pytest.raises(error, match=message) as raised:
        DefaultTrainer(cfg)
    assert "\n" not in str(raised.value)
