"""A trained model as one graph for other runtimes: TorchScript and ONNX, each checked against PyTorch."""

import importlib
import json
import logging
import os
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vireid.engine.checkpoint import write_atomically
from vireid.engine.export_graph import EmbeddingGraph, example, random_images
from vireid.errors import ConfigError, UserError
from vireid.modality import Modality
from vireid.progress import progress_bar
from vireid.weights import read_safetensors

logger = logging.getLogger("fastreid.vireid.export")

FORMATS = ("torchscript", "onnx", "safetensors")
MODALITIES = ("visible", "infrared", "both")
EXPORTERS = ("trace", "dynamo")
INPUT_TYPES = {"float32": torch.float32, "uint8": torch.uint8}
SUFFIXES = {"torchscript": ".pt", "onnx": ".onnx", "safetensors": ".safetensors"}
BATCHES = (1, 3, 8)
OPSETS = {"trace": 17, "dynamo": 18}
INSTALL_COMMAND = 'pip install ".[export]"'

Run = Callable[[Tensor, Tensor], Tensor]


def export_model(
    model: Any,
    output: str | Path,
    image_size: tuple[int, int],
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
        image_size: INPUT.SIZE_TEST, (height, width); it is fixed in the graph.
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
        ConfigError: an argument out of its range, or a package that is not installed.
        UserError: the exporter fails, or a file disagrees.
    """
    for name, value, known in (
        *(("--format", entry, FORMATS) for entry in formats),
        ("--modality", modality, MODALITIES),
        ("--input", input_type, tuple(INPUT_TYPES)),
        ("--exporter", exporter, EXPORTERS),
    ):
        if value not in known:
            raise ConfigError(f"{name} is {value!r}; expected one of {', '.join(known)}")
    opset = opset or OPSETS[exporter]
    if opset < 17:
        raise ConfigError(f"--opset is {opset}; expected 17 or more")
    require_packages(formats, exporter)
    folder = Path(output)
    folder.mkdir(parents=True, exist_ok=True)
    model = model.eval()
    graph = EmbeddingGraph(model, modality)
    with torch.no_grad():
        graph(*example(graph, image_size, torch.float32))  # what is checked once is checked before tracing
    files = {}
    for kind in progress_bar(formats, title="export", unit="file"):
        stem = "model" if kind == "safetensors" else f"model-{modality}"
        path = folder / f"{stem}{SUFFIXES[kind]}"
        temporary = path.with_name(f".{os.getpid()}.{path.name}")
        try:
            if kind == "torchscript":
                run = write_torchscript(graph, temporary, image_size)
            elif kind == "onnx":
                dtype = INPUT_TYPES[input_type]
                run = write_onnx(graph, temporary, image_size, dtype, exporter, opset)
            else:
                run = write_safetensors(model, temporary, about or {})
            only = None if kind == "safetensors" else modality
            difference = largest_difference(model, run, image_size, only or "both")
            if not difference <= tolerance:
                raise UserError(
                    f"{path} was not written: its embeddings differ from PyTorch's by {difference:.2g} "
                    f"(allowed {tolerance:.2g}); try another --exporter, or leave {kind} out"
                )
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        files[path.name] = {"max_difference": difference, "bytes": path.stat().st_size}
        logger.info(f"{path}: differs from PyTorch by {difference:.2g} at most, batches of {BATCHES}")
    codes = {m.name.lower(): int(m) for m in (Modality.VISIBLE, Modality.INFRARED)}
    record = {
        "inputs": graph.inputs,
        "images": {"shape": ["N", 3, *image_size], "range": [0, 255], "channels": "RGB"},
        "onnx": {"type": input_type, "opset": opset} if "onnx" in formats else None,
        "modality": modality,
        "modalities": codes if "modalities" in graph.inputs else None,
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
                raise ConfigError(f"--format {kind} needs {package}: {INSTALL_COMMAND}")


@torch.no_grad()
def write_torchscript(graph: EmbeddingGraph, path: Path, size: tuple[int, int]) -> Run:
    """Trace, save, and load again."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # constants of the trace: the image size is fixed
        traced = torch.jit.trace(graph, example(graph, size, torch.float32), check_trace=False)
        torch.jit.save(traced, str(path))
        loaded = torch.jit.load(str(path))
    return lambda images, modalities: loaded(*(images, modalities)[: len(graph.inputs)])


@torch.no_grad()
def write_onnx(
    graph: EmbeddingGraph, path: Path, size: tuple[int, int], dtype: torch.dtype, exporter: str, opset: int
) -> Run:
    """Export with a dynamic batch, check the file, and load it in onnxruntime.

    Raises:
        UserError: the exporter does not support the model.
    """
    names = graph.inputs
    options: dict[str, Any] = {"dynamo": exporter == "dynamo"}
    if exporter == "dynamo":
        batch = torch.export.Dim("batch", min=1)
        options |= {
            "dynamic_shapes": tuple({0: batch} for _ in names),
            "external_data": False,
            "verbose": False,
        }
    else:
        options["dynamic_axes"] = {name: {0: "batch"} for name in [*names, "embeddings"]}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                graph,
                example(graph, size, dtype),
                str(path),
                input_names=names,
                output_names=["embeddings"],
                opset_version=opset,
                **options,
            )
    except Exception as error:  # an operator that ONNX lacks, a shape that is not static, ...
        reason = " ".join(str(error).split())[:300]
        raise UserError(
            f"--format onnx: PyTorch cannot export this model ({type(error).__name__}: {reason}); try "
            f"--exporter {'trace' if exporter == 'dynamo' else 'dynamo'}"
        ) from None
    importlib.import_module("onnx").checker.check_model(str(path))
    session = importlib.import_module("onnxruntime").InferenceSession(
        str(path), providers=["CPUExecutionProvider"]
    )

    def run(images: Tensor, modalities: Tensor) -> Tensor:
        feeds: dict[str, np.ndarray] = {"images": images.to(dtype).numpy()}
        if "modalities" in names:
            feeds["modalities"] = modalities.numpy()
        return torch.from_numpy(session.run(["embeddings"], feeds)[0])

    return run


def write_safetensors(model: nn.Module, path: Path, about: dict[str, Any]) -> Run:
    """Save all weights, of both modalities, under the names of a checkpoint; MODEL.WEIGHTS takes the file.

    ``about`` goes to its metadata, each value as JSON.
    """
    tensors = {name: value.detach().contiguous().clone() for name, value in model.state_dict().items()}
    metadata = {"format": "pt", **{key: json.dumps(value) for key, value in about.items()}}
    importlib.import_module("safetensors.torch").save_file(tensors, str(path), metadata=metadata)
    loaded = read_safetensors(path, "--format safetensors")[0]
    if loaded.keys() != tensors.keys():
        raise UserError(f"--format safetensors: {path} holds {len(loaded)} of {len(tensors)} tensors")

    def run(images: Tensor, modalities: Tensor) -> Tensor:
        batch = {"images": images, "modalities": modalities}
        embeddings: Tensor = torch.func.functional_call(model, loaded, (batch,))
        return embeddings

    return run


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
