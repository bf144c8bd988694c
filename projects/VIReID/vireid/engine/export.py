"""A trained model as one graph for other runtimes: TorchScript and ONNX, each checked against PyTorch."""

<<<<<<< HEAD
import importlib
import io
import json
import logging
import warnings
from collections.abc import Callable
=======
import json
import logging
import os
from dataclasses import asdict
>>>>>>> 23c65f0e03ab0412b1423c80907cfe59817299bd
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

<<<<<<< HEAD
=======
from vireid.engine.checkpoint import write_atomically
from vireid.engine.export_formats import Run, write_onnx, write_safetensors, write_torchscript
>>>>>>> 23c65f0e03ab0412b1423c80907cfe59817299bd
from vireid.engine.export_graph import EmbeddingGraph, example, random_images
from vireid.engine.safe_files import clear_temporary_files, whole_file, write_atomically
from vireid.errors import ConfigError, UserError
from vireid.modality import Modality
from vireid.preprocessing import Preprocessing, model_fingerprint

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
        ConfigError: an argument out of its range, or a package that is not installed.
        UserError: the exporter fails, or a file disagrees.
        MachineError: a file cannot be written.
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
    for kind in formats:
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
                    f"(allowed {tolerance:.2g}); try another --exporter, or leave {kind} out"
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
                raise ConfigError(f"--format {kind} needs {package}: {INSTALL_COMMAND}")


@torch.no_grad()
<<<<<<< HEAD
def write_torchscript(graph: EmbeddingGraph, path: Path, size: tuple[int, int]) -> Run:
    """Trace, save, and load again."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # constants of the trace: the image size is fixed
        traced = torch.jit.trace(graph, example(graph, size, torch.float32), check_trace=False)
        buffer = io.BytesIO()  # what PyTorch writes to a full disk itself ends the process
        torch.jit.save(traced, buffer)
        path.write_bytes(buffer.getvalue())
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
    buffer = io.BytesIO()
    options: dict[str, Any] = {"dynamo": exporter == "dynamo"}
    if exporter == "dynamo":
        batch = torch.export.Dim("batch", min=1)
        options |= {"dynamic_shapes": tuple({0: batch} for _ in names), "verbose": False}
    else:
        options["dynamic_axes"] = {name: {0: "batch"} for name in [*names, "embeddings"]}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                graph,
                example(graph, size, dtype),
                None if exporter == "dynamo" else buffer,
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
    path.write_bytes(buffer.getvalue() if program is None else program.model_proto.SerializeToString())
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
    path.write_bytes(importlib.import_module("safetensors.torch").save(tensors, metadata=metadata))
    loaded = read_safetensors(path, "--format safetensors")[0]
    if loaded.keys() != tensors.keys():
        raise UserError(f"--format safetensors: {path} holds {len(loaded)} of {len(tensors)} tensors")

    def run(images: Tensor, modalities: Tensor) -> Tensor:
        batch = {"images": images, "modalities": modalities}
        embeddings: Tensor = torch.func.functional_call(model, loaded, (batch,))
        return embeddings

    return run


@torch.no_grad()
=======
>>>>>>> 23c65f0e03ab0412b1423c80907cfe59817299bd
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
