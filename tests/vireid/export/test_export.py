"""Exported files run outside PyTorch's modules and agree with the model."""

import errno
import json
import os
from pathlib import Path

import pytest
import torch

from configs import PROJECTS, TINY, tiny_config
from vireid.engine import VIReIDTrainer, load_for_evaluation
from vireid.errors import CheckpointError, ConfigError, MachineError, UserError
from vireid.export import graph
from vireid.export import model as export_model_module
from vireid.export.graph import EmbeddingGraph
from vireid.export.model import FORMATS, export_model
from vireid.preprocessing import Preprocessing

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("safetensors")

SIZE = (64, 32)
PREPROCESSING = Preprocessing(SIZE)
SMALL_VIT = [["depth", 2], ["embed_dim", 48], ["num_heads", 2]]
TIMM = {
    "MODEL__BACKBONE__NAME": "build_timm_backbone",
    "MODEL__BACKBONE__TIMM__NAME": "vit_tiny_patch16_224",
    "MODEL__BACKBONE__TIMM__KWARGS": SMALL_VIT,
    "MODEL__HEADS__POOL_LAYER": "GlobalAvgPool",  # its features have either sign
}


def trained_like(file="VIReID/configs/sysu.yml", **overrides):
    """A model whose stems, norms and adapters differ from their initial values, as after training."""
    torch.manual_seed(0)
    model = VIReIDTrainer.build_model(tiny_config(file, **overrides)).eval()
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if name.endswith("running_var"):
                value.mul_(1 + 0.2 * torch.rand_like(value))
            elif value.is_floating_point() and not name.startswith("pixel"):
                value.add_(0.02 * torch.randn_like(value))
    return model


def images_of(count, seed=1):
    return torch.randint(0, 256, (count, 3, *SIZE), generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def embeddings(model, images, modalities):
    return model({"images": images.to(torch.uint8), "modalities": modalities})


def onnx_embeddings(path, images, modalities=None, dtype=torch.float32, routed=True):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    feeds = {"images": images.to(dtype).numpy()}
    if modalities is not None:
        feeds["modalities"] = modalities.numpy()
    inputs = {entry.name for entry in session.get_inputs()}
    if routed:
        assert inputs == set(feeds)
    else:
        assert inputs == {"images"}
        feeds.pop("modalities")
    return torch.from_numpy(session.run(["embeddings"], feeds)[0])


MODELS = {
    "baseline": {},
    "pmcm": {
        "file": "PMCM/configs/sysu.yml",
        "MODEL__HEADS__PARTS__COUNT": 2,
        "MODEL__HEADS__PARTS__IN_EMBEDDING": True,
    },
    "pmcm-own-stem": {
        "file": "PMCM/configs/sysu.yml",
        "MODEL__HEADS__PARTS__COUNT": 2,
        "MODEL__TWO_STREAM__MIXED_STEM": "own",
    },
    "mcja": {"file": "MCJA/configs/sysu.yml"},
    "mcja-two-stream": {"file": "MCJA/configs/sysu.yml", "MODEL__TWO_STREAM__SPECIFIC": ["auto"]},
    "caj": {"file": "CAJ/configs/sysu.yml"},
    "deen": {"file": "DEEN/configs/sysu.yml"},
    "deen-two-stages": {
        "file": "DEEN/configs/sysu.yml",
        "MODEL__TWO_STREAM__SPECIFIC": ["conv1", "layer3", "layer4"],
    },
    "vit": {**TIMM, "MODEL__HEADS__POOL_LAYER": "GlobalAvgPool"},
}


@pytest.mark.parametrize("name", MODELS)
def test_both_modalities_in_one_graph(tmp_path, name):
    model = trained_like(**MODELS[name])
    record = export_model(model, tmp_path, PREPROCESSING, modality="both")
    assert set(record["files"]) == {"model-both.pt", "model-both.onnx", "model.safetensors"}
    assert all(file["max_difference"] <= 1e-4 for file in record["files"].values())
    assert json.loads((tmp_path / "model-both.json").read_text()) == json.loads(json.dumps(record))
    assert sorted(os.listdir(tmp_path)) == sorted([*record["files"], "model-both.json"])

    routed = bool(model.modality_specific)
    assert record["inputs"] == (["images", "modalities"] if routed else ["images"])
    scripted = torch.jit.load(str(tmp_path / "model-both.pt"))
    for count in (1, 3, 8, 11):
        images = images_of(count)
        modalities = torch.randint(0, 2, (count,), generator=torch.Generator().manual_seed(count))
        expected = embeddings(model, images, modalities)
        for got in (
            onnx_embeddings(tmp_path / "model-both.onnx", images, modalities, routed=routed),
            scripted(images.to(torch.uint8), *[modalities][:routed]),
        ):
            torch.testing.assert_close(got, expected, rtol=0, atol=1e-4 * max(1, float(expected.abs().max())))


@pytest.mark.parametrize(("modality", "value"), [("visible", 0), ("infrared", 1)])
def test_one_modality_keeps_its_stem_alone(tmp_path, modality, value):
    model = trained_like()
    export_model(
        model, tmp_path, PREPROCESSING, modality=modality, formats=("onnx", "torchscript"), input_type="uint8"
    )
    images = images_of(3)
    expected = embeddings(model, images, torch.full((3,), value))
    other = embeddings(model, images, torch.full((3,), 1 - value))
    assert (expected - other).abs().max() > 1e-2
    for got in (
        onnx_embeddings(tmp_path / f"model-{modality}.onnx", images, dtype=torch.uint8),
        torch.jit.load(str(tmp_path / f"model-{modality}.pt"))(images.float()),
    ):
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-4)
    graph = onnx.load(str(tmp_path / f"model-{modality}.onnx"))
    assert sum(node.op_type == "Conv" for node in graph.graph.node) == sum(
        isinstance(m, torch.nn.Conv2d) for m in EmbeddingGraph(model, modality).backbone.modules()
    )
    assert graph.opset_import[0].version == 17
    assert graph.graph.input[0].type.tensor_type.shape.dim[0].dim_param
    assert graph.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8


def test_the_newer_exporter(tmp_path):
    pytest.importorskip("onnxscript")
    model = trained_like()
    export_model(model, tmp_path, PREPROCESSING, formats=("onnx",), exporter="dynamo")
    images, modalities = images_of(5), torch.tensor([0, 1, 1, 0, 1])
    got = onnx_embeddings(tmp_path / "model-both.onnx", images, modalities)
    torch.testing.assert_close(got, embeddings(model, images, modalities), rtol=0, atol=1e-4)
    assert onnx.load(str(tmp_path / "model-both.onnx")).opset_import[0].version == 18


def test_the_model_itself_is_left_as_it_is(tmp_path):
    model = trained_like()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    export_model(model, tmp_path, PREPROCESSING)
    after = model.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) for name in before)


@pytest.mark.parametrize("kind", ["onnx", "torchscript"])
def test_a_file_that_disagrees_is_not_left(tmp_path, monkeypatch, kind):
    def exchanged(self, x):
        infrared = (self.batch.modalities == 1).view(-1, 1, 1, 1)
        return torch.where(infrared, self.visible(x), self.infrared(x))

    export_model(trained_like(), tmp_path, PREPROCESSING, formats=(kind,))
    (earlier,) = (path for path in tmp_path.iterdir() if path.suffix != ".json")
    content = earlier.read_bytes()
    monkeypatch.setattr(graph.SelectRoute, "forward", exchanged)
    with pytest.raises(
        UserError, match=r"model-both\.\w+ was not written: its embeddings differ .* by 0\.\d+"
    ):
        export_model(trained_like(), tmp_path, PREPROCESSING, formats=(kind,))
    assert earlier.read_bytes() == content
    assert sorted(os.listdir(tmp_path)) == sorted([earlier.name, "model-both.json"])


@pytest.mark.parametrize("kind", FORMATS)
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, monkeypatch, kind):
    def full(path, data):
        path.touch()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (tmp_path / f".model-both.pt.{10**8}.tmp").write_bytes(b"of a process that was killed")
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(MachineError, match=r"model.* cannot be written: No space left on device"):
        export_model(trained_like(), tmp_path, PREPROCESSING, formats=(kind,))
    assert os.listdir(tmp_path) == []


def test_what_is_not_finite_is_not_written(tmp_path):
    model = trained_like()
    with torch.no_grad():
        next(model.heads.bottleneck.parameters()).fill_(float("nan"))
    with pytest.raises(UserError, match="differ from PyTorch's by inf"):
        export_model(model, tmp_path, PREPROCESSING, formats=("torchscript",))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"modality": "mixed"}, "modality is 'mixed'; expected one of visible, infrared, both"),
        ({"formats": ("onnx", "tflite")}, "a format is 'tflite'"),
        ({"input_type": "float16"}, "input type is 'float16'"),
        ({"exporter": "script"}, "exporter is 'script'"),
        ({"opset": 12}, "opset is 12; expected 17 or more"),
    ],
)
def test_wrong_arguments_are_refused(tmp_path, arguments, message):
    with pytest.raises(ConfigError, match=message):
        export_model(trained_like(), tmp_path / "out", PREPROCESSING, **arguments)
    assert not (tmp_path / "out").exists()


def test_a_package_that_is_not_there_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(export_model_module, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r'the format onnx needs onnx: pip install "\.\[export\]"'):
        export_model(trained_like(), tmp_path / "out", PREPROCESSING)
    assert not (tmp_path / "out").exists()


def test_the_tool_and_its_safetensors_as_weights(command, tmp_path):
    model = trained_like("VIReID/configs/regdb.yml")
    checkpoint = {"model": model.state_dict(), "num_classes": 5, "datasets": {"RegDB": {"split": 3}}}
    torch.save(checkpoint, tmp_path / "model.pth")
    config = ["--config-file", PROJECTS / "VIReID/configs/regdb.yml"]
    options = [item for pair in TINY.items() if pair[0] != "MODEL.HEADS.NUM_CLASSES" for item in pair]
    output = tmp_path / "exported"
    weights = ["MODEL.WEIGHTS", tmp_path / "model.pth"]
    status, printed, error = command("export", *config, "--output", output, *weights, *options)
    assert status == 0, error
    lines = printed.strip().splitlines()
    assert [line.split(":")[0] for line in lines] == [
        f"{output}/model-both.pt",
        f"{output}/model-both.onnx",
        f"{output}/model.safetensors",
    ]
    images, modalities = images_of(4), torch.tensor([1, 0, 1, 1])
    expected = embeddings(model, images, modalities)
    got = onnx_embeddings(output / "model-both.onnx", images, modalities)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-4)

    settings = {"MODEL__WEIGHTS": str(output / "model.safetensors"), "MODEL__HEADS__NUM_CLASSES": 0}
    cfg = tiny_config("VIReID/configs/regdb.yml", DATASETS__TESTS=[], **settings)
    assert torch.equal(embeddings(load_for_evaluation(cfg).eval(), images, modalities), expected)


def test_safetensors_keep_the_split_they_were_trained_on(datasets, tmp_path):
    model = trained_like("VIReID/configs/regdb.yml")
    about = {"datasets": {"RegDB": {"split": 3}}}
    export_model(model, tmp_path, PREPROCESSING, formats=("safetensors",), about=about)
    cfg = tiny_config("VIReID/configs/regdb.yml", MODEL__WEIGHTS=str(tmp_path / "model.safetensors"))
    with pytest.raises(CheckpointError, match="trained on RegDB split 3, but the config says 1"):
        load_for_evaluation(cfg)


def test_a_damaged_safetensors_file_is_refused(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"html")
    cfg = tiny_config(DATASETS__TESTS=[], MODEL__WEIGHTS=str(tmp_path / "model.safetensors"))
    with pytest.raises(CheckpointError, match="is no safetensors file, or is damaged"):
        load_for_evaluation(cfg)


def test_an_error_of_the_user_is_one_line(command, tmp_path, monkeypatch):
    config = ["--config-file", PROJECTS / "VIReID/configs/sysu.yml"]
    monkeypatch.chdir(tmp_path)
    status, _, error = command("export", *config, "--output", "out", "MODEL.WEIGHTS", "none.pth")
    assert (status, error) == (2, "error: MODEL.WEIGHTS: no file none.pth\n")
    assert os.listdir(tmp_path) == []
