"""One stream of a model as a checkpoint of the toolkit's: its own calls build it, with equal embeddings."""

import pytest
import torch
from fastreid.config import get_cfg
from fastreid.engine import DefaultPredictor
from fastreid.modeling.meta_arch.baseline import Baseline

from configs import tiny_config
from vireid import add_vireid_config
from vireid.engine import VIReIDTrainer
from vireid.errors import ConfigError, UserError
from vireid.export.toolkit_checkpoint import write_toolkit_checkpoint

TOOLKITS = {"MODEL__BACKBONE__NAME": "build_resnet_backbone", "MODEL__BACKBONE__DEPTH": "18x"}


def model_and_config(file, overrides):
    torch.manual_seed(0)
    cfg = tiny_config(file, **{"MODEL__ADAPTERS": [], **overrides})
    model = VIReIDTrainer.build_model(cfg).eval()
    with torch.no_grad():
        for name, value in model.named_parameters():
            if "infrared" in name:
                value.add_(0.1 * torch.randn_like(value))
    return cfg, model


@pytest.mark.parametrize("modality", ["visible", "infrared"])
@pytest.mark.parametrize(
    ("file", "overrides"),
    [
        ("VIReID/configs/sysu.yml", {}),
        ("VIReID/configs/sysu.yml", TOOLKITS),
        (
            "PMCM/configs/sysu.yml",
            {"MODEL__HEADS__PARTS__COUNT": 2, "MODEL__HEADS__PARTS__IN_EMBEDDING": False},
        ),
    ],
    ids=["our backbone", "the toolkit's backbone", "PMCM without stripes"],
)
def test_the_toolkits_predictor_gives_the_embeddings_of_the_stream(tmp_path, file, overrides, modality):
    cfg, model = model_and_config(file, overrides)
    path, difference = write_toolkit_checkpoint(cfg, model, tmp_path, modality)
    assert difference < 1e-5
    theirs = get_cfg()
    if not overrides or file.startswith("PMCM"):
        add_vireid_config(theirs)
    theirs.merge_from_file(str(path.with_suffix(".yml")))
    theirs.MODEL.WEIGHTS, theirs.MODEL.DEVICE = str(path), "cpu"
    predictor = DefaultPredictor(theirs)
    assert type(predictor.model) is Baseline
    images = torch.rand(3, 3, 64, 32) * 255
    found = predictor(images.clone())
    for kind, code in (("visible", 0), ("infrared", 1)):
        with torch.no_grad():
            expected = model({"images": images, "modalities": torch.full((3,), code)})
        assert torch.allclose(found, expected, atol=1e-5) == (kind == modality)


@pytest.mark.parametrize(
    ("file", "modality", "error", "message"),
    [
        (
            "VIReID/configs/sysu.yml",
            "both",
            ConfigError,
            "--modality is 'both'; the toolkit's model has one",
        ),
        ("MCJA/configs/sysu.yml", "visible", UserError, r"or MODEL.ADAPTERS \[.*\] is none of the toolkit's"),
    ],
)
def test_what_the_toolkit_cannot_hold_is_refused(tmp_path, file, modality, error, message):
    cfg, model = model_and_config(file, {"MODEL__MDA__STAGES": ["auto"], "MODEL__ADAPTERS": ["MDA"]})
    with torch.no_grad():
        for value in model.parameters():
            value.add_(0.05 * torch.randn_like(value))
    with pytest.raises(error, match=message):
        write_toolkit_checkpoint(cfg, model, tmp_path, modality)
    assert list(tmp_path.iterdir()) == []


def test_the_command_writes_both_files(command, tmp_path):
    options = ("--output", tmp_path, "--modality", "infrared", "--config-file", "vireid/demo")
    status, printed, error = command("export", "--toolkit-checkpoint", *options, "MODEL.ADAPTERS", "[]")
    assert status == 0, error
    assert "toolkit-infrared.yml: max difference" in printed
    assert {path.name for path in tmp_path.iterdir()} == {"toolkit-infrared.pth", "toolkit-infrared.yml"}
