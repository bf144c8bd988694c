"""The formats of an exported model: each is written, and read again as a function of images."""

import importlib
import io
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vireid.engine.checkpoints.digest import KEY as DIGEST
from vireid.engine.checkpoints.digest import safetensors_digest
from vireid.errors import UserError
from vireid.export.graph import EmbeddingGraph, example
from vireid.modeling.weight_files import read_safetensors
from vireid.preprocessing import RECORD

Run = Callable[[Tensor, Tensor], Tensor]


@torch.no_grad()
def write_torchscript(
    graph: EmbeddingGraph, path: Path, size: tuple[int, int], content: dict[str, Any]
) -> Run:
    """Trace, save with ``content`` as JSON, and load again."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # constants of the trace: the image size is fixed
        traced = torch.jit.trace(graph, example(graph, size, torch.float32), check_trace=False)
        buffer = io.BytesIO()  # where the disk is full, what writes a file itself ends the process
        torch.jit.save(traced, buffer, _extra_files={RECORD: json.dumps(content)})
        path.write_bytes(buffer.getvalue())
        loaded = torch.jit.load(str(path))
    return lambda images, modalities: loaded(*(images, modalities)[: len(graph.inputs)])


@torch.no_grad()
def write_onnx(
    graph: EmbeddingGraph,
    path: Path,
    size: tuple[int, int],
    content: dict[str, Any],
    dtype: torch.dtype,
    exporter: str,
    opset: int,
) -> Run:
    """Export with a dynamic batch and ``content`` as JSON, check the file, and load it in onnxruntime.

    Raises:
        UserError: the exporter does not support the model.
    """
    names, buffer = graph.inputs, io.BytesIO()
    options: dict[str, Any] = {"dynamo": exporter == "dynamo"}
    target: Any = None if exporter == "dynamo" else buffer  # the newer exporter returns what it made
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
                target,
                input_names=names,
                output_names=["embeddings"],
                opset_version=opset,
                **options,
            )
    except Exception as error:  # an operator that ONNX lacks, a shape that is not static, ...
        reason = " ".join(str(error).split())[:300]
        raise UserError(
            f"onnx: PyTorch cannot export this model ({type(error).__name__}: {reason}); try "
            f"the exporter {'trace' if exporter == 'dynamo' else 'dynamo'}"
        ) from None
    onnx = importlib.import_module("onnx")
    written = onnx.load_from_string(buffer.getvalue()) if program is None else program.model_proto
    written.metadata_props.add(key=RECORD, value=json.dumps(content))
    path.write_bytes(written.SerializeToString())
    onnx.checker.check_model(str(path))
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

    ``about`` goes to its metadata, each value as JSON, and so does a digest of all that.
    """
    tensors = {name: value.detach().contiguous().clone() for name, value in model.state_dict().items()}
    metadata = {"format": "pt", **{key: json.dumps(value) for key, value in about.items()}}
    metadata[DIGEST] = json.dumps(safetensors_digest(tensors, metadata))
    path.write_bytes(importlib.import_module("safetensors.torch").save(tensors, metadata=metadata))
    loaded = read_safetensors(path, "safetensors")[0]
    if loaded.keys() != tensors.keys():
        raise UserError(f"{path} holds {len(loaded)} of {len(tensors)} tensors")

    def run(images: Tensor, modalities: Tensor) -> Tensor:
        batch = {"images": images, "modalities": modalities}
        embeddings: Tensor = torch.func.functional_call(model, loaded, (batch,))
        return embeddings

    return run
