"""A trained model as one graph for other runtimes: TorchScript and ONNX, each checked against PyTorch."""

import json
import logging
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from vireid.errors import ConfigError, UserError
from vireid.export.formats import Run, write_onnx, write_safetensors, write_torchscript
from vireid.export.graph import EmbeddingGraph, example, random_images
from vireid.files import clear_temporary_files, output_folder, whole_file, write_atomically
from vireid.modality import Modality
from vireid.preprocessing import Preprocessing, model_fingerprint
from vireid.progress import progress_bar

logger = logging.getLogger("fastreid.vireid.export")

FORMATS = ("torchscript", "onnx", "safetensors")
MODALITIES = ("visible", "infrared", "both")
EXPORTERS = ("trace", "dynamo")
INPUT_TYPES = {"float32": torch.float32, "uint8": torch.uint8}
SUFFIXES = {"torchscript": ".pt", "onnx": ".onnx", "safetensors": ".safetensors"}
BATCHES = (1, 3, 8)
OPSETS = {"trace": 17, "dynamo": 18}
INSTALL_COMMAND = 'pip install ".[export]"'


def export_model(
    model: Any,
    output: str | Path,
    preprocessing: Preprocessing,
    *,
    formats: tuple[str, ...] = FORMATS,
    modality: str = "both",
    input_type: str = "float32",
    exporter: str = "trace",
    opset: int = 0,
    tolerance: float = 1e-4,
    about: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Write ``<output>/model-<modality>.{pt,onnx}`` and ``<output>/model.safetensors``.

    Each file is written beside its name, read again, run on batches of 1, 3 and 8 images and compared
    with the model; only a file that agrees gets its name.

    Args:
        model: the meta-architecture in evaluation mode, on the CPU.
        output: folder.
        preprocessing: of the images; its size is fixed in the graph, and all of it is recorded in the files.
        formats: some of FORMATS.
        modality: of the images: "visible", "infrared", or "both" with a second input ``modalities``.
        input_type: of ONNX's images, "float32" or "uint8"; TorchScript takes either.
        exporter: of ONNX: "trace", or "dynamo" (PyTorch's newer one, which needs onnxscript).
        opset: of ONNX; 0: 17 for "trace", 18 for "dynamo".
        tolerance: largest difference allowed, as a share of the largest value where that is above 1.
        about: plain values that the safetensors file records (those of a checkpoint).

    Returns:
        What ``<output>/model-<modality>.json`` holds: the inputs, and each file with its largest difference.

    Raises:
        ConfigError: an argument out of its range, a folder that cannot be made, or a package that is not
            installed.
        UserError: the exporter fails, or a file disagrees.
        MachineError: a file cannot be written.
    """
    for name, value, known in (
        *(("a format", entry, FORMATS) for entry in formats),
        ("modality", modality, MODALITIES),
        ("input type", input_type, tuple(INPUT_TYPES)),
        ("exporter", exporter, EXPORTERS),
    ):
        if value not in known:
            raise ConfigError(f"{name} is {value!r}; expected one of {', '.join(known)}")
    opset = opset or OPSETS[exporter]
    if opset < 17:
        raise ConfigError(f"opset is {opset}; expected 17 or more")
    require_packages(formats, exporter)
    folder = output_folder(output)
    clear_temporary_files(folder)
    model = model.eval()
    graph, image_size = EmbeddingGraph(model, modality), preprocessing.size
    with torch.no_grad():  # what is checked once is checked before tracing
        embeddings = graph(*example(graph, image_size, torch.float32))
    codes = {m.name.lower(): int(m) for m in (Modality.VISIBLE, Modality.INFRARED)}
    content = {
        "inputs": graph.inputs,
        "images": {"shape": ["N", 3, *image_size], "range": [0, 255], "channels": "RGB"},
        "modality": modality,
        "modalities": codes if "modalities" in graph.inputs else None,
        "preprocessing": asdict(preprocessing),
        "embedding": embeddings.shape[1],
        "fingerprint": model_fingerprint(model, preprocessing),
    }
    files = {}
    for kind in progress_bar(formats, title="export", unit="file"):
        stem = "model" if kind == "safetensors" else f"model-{modality}"
        path = folder / f"{stem}{SUFFIXES[kind]}"
        with whole_file(path) as temporary:
            if kind == "torchscript":
                run = write_torchscript(graph, temporary, image_size, content)
            elif kind == "onnx":
                dtype = INPUT_TYPES[input_type]
                run = write_onnx(graph, temporary, image_size, content, dtype, exporter, opset)
            else:
                run = write_safetensors(model, temporary, about or {})
            only = None if kind == "safetensors" else modality
            difference = largest_difference(model, run, image_size, only or "both")
            if not difference <= tolerance:
                raise UserError(
                    f"{path} was not written: its embeddings differ from PyTorch's by {difference:.2g} "
                    f"(allowed {tolerance:.2g}); try another exporter, or leave {kind} out"
                )
        files[path.name] = {"max_difference": difference, "bytes": path.stat().st_size}
        logger.info(f"{path}: differs from PyTorch by {difference:.2g} at most, batches of {BATCHES}")
    record = {
        **content,
        "onnx": {"type": input_type, "opset": opset} if "onnx" in formats else None,
        "files": files,
    }
    text = json.dumps(record, indent=2) + "\n"
    write_atomically(folder / f"model-{modality}.json", lambda file: file.write(text.encode()))
    return record


def require_packages(formats: tuple[str, ...], exporter: str = "trace") -> None:
    """Refuse at once what would fail after the model is built.

    Raises:
        ConfigError: a package that is not installed.
    """
    needed = {"onnx": ["onnx", "onnxruntime"], "safetensors": ["safetensors"]}
    if exporter == "dynamo":
        needed["onnx"].append("onnxscript")
    for kind in formats:
        for package in needed.get(kind, []):
            if find_spec(package) is None:
                raise ConfigError(f"the format {kind} needs {package}: {INSTALL_COMMAND}")


@torch.no_grad()
def largest_difference(model: Any, run: Run, size: tuple[int, int], modality: str) -> float:
    """Between the embeddings of ``run`` and the model's, over BATCHES, for a shuffled mix of modalities;
    as a share of the largest value where that is above 1."""
    worst = 0.0
    for count in BATCHES:
        images = random_images(count, size)
        if modality == "both":
            modalities = torch.tensor([1, 0, 0, 1, 0, 1, 1, 0][:count])
        else:
            modalities = torch.full((count,), int(Modality[modality.upper()]))
        expected = model({"images": images, "modalities": modalities})
        for dtype in (torch.uint8, torch.float32):
            got = run(images.to(dtype), modalities)
            if got.shape != expected.shape or not bool(torch.isfinite(expected).all()):
                return float("inf")
            difference = (got - expected).abs().max() / max(1.0, float(expected.abs().max()))
            worst = max(worst, float(difference))
    return worst
