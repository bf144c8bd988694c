"""What a trained model gives on the device, beside the CPU: evaluation, MSER, embeddings, exported files."""

import numpy as np
import pytest
import torch

from configs import tiny_config
from gpu_device import ON_GPU
from vireid import Embedder
from vireid.data import build_dataset, build_test_loader
from vireid.engine import load_for_evaluation
from vireid.engine.costs import measure
from vireid.engine.evaluation import evaluate_model
from vireid.engine.extraction import extract_features
from vireid.export.model import export_model
from vireid.preprocessing import Preprocessing

pytestmark = pytest.mark.gpu

FILES = {
    "pmcm": "PMCM/configs/sysu.yml",
    "mcja": "MCJA/configs/sysu.yml",
    "deen": "DEEN/configs/sysu.yml",
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A function that gives the checkpoint of a method, whose stems differ, as after training."""
    folder = tmp_path_factory.mktemp("weights")

    def checkpoint(method):
        path = folder / f"{method}.pth"
        if not path.is_file():
            torch.manual_seed(0)
            model = load_for_evaluation(config(method, "cpu", DATASETS__TESTS=[]))
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter.add_(0.02 * torch.randn_like(parameter))
            torch.save({"model": model.state_dict()}, path)
        return str(path)

    return checkpoint


def config(method, device, **overrides):
    settings = {"MODEL__HEADS__PARTS__COUNT": 2, "TEST__MSER__K1": 5, "TEST__MSER__K2": 3, **overrides}
    return tiny_config(FILES[method], MODEL__DEVICE=device, DATASETS__TRIALS=2, **settings)


@pytest.mark.parametrize("method", FILES)
def test_an_evaluation_is_that_of_the_cpu(datasets, tmp_path, gpu, weights, record_property, method):
    """Mirrored images (DEEN), the spectra of MSER (MCJA), stripes (PMCM)."""
    features, results = [], []
    for device in ("cpu", gpu):
        cfg = config(method, device, MODEL__WEIGHTS=weights(method), OUTPUT_DIR=str(tmp_path / device))
        model = load_for_evaluation(cfg)
        loader = build_test_loader(cfg, build_dataset(cfg, "SYSUMM01").test)
        features.append(extract_features(model, loader, views=("image", "green"), flip=cfg.TEST.FLIP.ENABLED))
        results.append(evaluate_model(cfg, model)["SYSUMM01"])
    for view in ("image", "green"):
        expected, found = (torch.nn.functional.normalize(each[view]) for each in features)
        difference = float((found - expected).abs().max())
        record_property(f"features, {view}", difference)
        assert difference <= 1e-4
    assert results[0].keys() == results[1].keys()
    assert any("MSER" in row for row in results[0]) == (method == "mcja")
    for row, figures in results[0].items():
        assert results[1][row] == pytest.approx(figures, abs=0.5), row


@pytest.mark.parametrize("method", ["pmcm", "deen"])
def test_embeddings_of_a_model_and_of_its_exported_file_are_those_of_the_cpu(
    datasets, tmp_path, gpu, weights, record_property, method
):
    cfg = config(method, "cpu", MODEL__WEIGHTS=weights(method))
    paths = [item.path for item in build_dataset(cfg, "SYSUMM01").test[::3]]
    cfg.DATASETS.TESTS = []
    expected = Embedder.from_config(cfg, weights(method), "cpu").embed(paths)
    model = load_for_evaluation(cfg).eval()
    export_model(model, tmp_path, Preprocessing.from_config(cfg), formats=("torchscript",))
    cfg.MODEL.DEVICE = gpu
    of_model = Embedder.from_config(cfg, weights(method))
    assert next(of_model.network.model.parameters()).device.type == gpu
    exported = [Embedder.from_exported(tmp_path / "model-both.pt", device) for device in (gpu, None)]
    assert {embedder.network.graph.device.type for embedder in exported} == {gpu}
    for name, embedder in (("model", of_model), ("file", exported[0])):
        assert embedder.fingerprint == of_model.fingerprint
        difference = float(np.abs(embedder.embed(paths) - expected).max())
        record_property(name, difference)
        assert difference <= 1e-4


def test_the_costs_of_a_model_are_measured(gpu):
    model = load_for_evaluation(config("pmcm", gpu, DATASETS__TESTS=[])).eval()
    found = measure(model, 4, (64, 32), seconds=0.05)
    assert found["memory_mib"] > 0 and found["images_per_second"] > 0
    assert (torch.cuda.is_available() and torch.cuda.max_memory_allocated() > 0) == ON_GPU
