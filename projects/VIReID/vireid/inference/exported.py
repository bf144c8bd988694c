"""A network from an exported file, ONNX or TorchScript: FastReID is not needed."""

import hashlib
import importlib
import json
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from vireid.errors import CheckpointError, ConfigError
from vireid.images import FILTERS
from vireid.inference.network import check_device, default_device, local_rank
from vireid.modality import Modality
from vireid.preprocessing import RECORD, Preprocessing

EXPORT_AGAIN = "export the model again with `vireid export`, or say how: preprocessing=Preprocessing(...)"
ONNX_TYPES = {"tensor(uint8)": np.uint8, "tensor(float)": np.float32}


class Graph(Protocol):
    """A file that can be run.

    Attributes:
        record: what the file says about itself; empty for files of earlier versions.
        inputs: how many inputs it takes.
    """

    record: dict[str, Any]
    inputs: int

    def run(self, images: np.ndarray, modalities: np.ndarray) -> np.ndarray: ...


class ExportedNetwork:
    """A file that ``vireid export`` wrote; see ``Network``.

    Args:
        path: ``*.onnx`` or ``*.pt``.
        device: "cpu", "cuda" or "cuda:1"; None: "cuda" where the library can use a GPU. Of several processes
            on a machine, each has its own for "cuda".
        preprocessing: for a file that does not say it.

    Raises:
        CheckpointError: no such file, or it is damaged, or does not say how images are resized.
        ConfigError: onnxruntime is not installed, or cannot use the GPU that ``device`` names.
    """

    def __init__(
        self, path: str | Path, device: str | None = None, preprocessing: Preprocessing | None = None
    ) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise CheckpointError(f"no file {path}")
        if self.path.suffix not in (".onnx", ".pt"):
            raise CheckpointError(f"{path}: expected a file of `vireid export`, *.onnx or *.pt")
        kind = OnnxGraph if self.path.suffix == ".onnx" else TorchScriptGraph
        self.graph: Graph = kind(self.path, device)
        record = self.graph.record
        if preprocessing is None and "preprocessing" not in record:
            raise CheckpointError(f"{path} does not say how an image is resized: {EXPORT_AGAIN}")
        self.preprocessing = preprocessing or Preprocessing(**_tuples(record["preprocessing"]))
        if self.preprocessing.interpolation not in FILTERS:
            raise CheckpointError(
                f"{path}: its images are resized by {self.preprocessing.interpolation!r}, which this version "
                f"does not know; known: {', '.join(FILTERS)}"
            )
        self.name = self.path.name
        self.fingerprint = (
            record.get("fingerprint") or hashlib.sha256(self.path.read_bytes()).hexdigest()[:16]
        )
        self.modalities = _modalities(record.get("modality", "both"))
        height, width = self.preprocessing.size
        black = np.zeros((1, 3, height, width), np.uint8)
        self.dimension = self(black, np.full(1, int(self.modalities[0]))).shape[1]

    def __call__(self, images: np.ndarray, modalities: np.ndarray) -> np.ndarray:
        """See ``Network``."""
        return self.graph.run(images, modalities)


class OnnxGraph:
    """An ONNX file in onnxruntime; see ``Graph``."""

    def __init__(self, path: Path, device: str | None) -> None:
        if find_spec("onnxruntime") is None:
            raise ConfigError(f'{path} needs onnxruntime: pip install "fastreid-vi[export]"')
        runtime = importlib.import_module("onnxruntime")
        options = runtime.SessionOptions()
        options.log_severity_level = 3
        if "OMP_NUM_THREADS" in os.environ:  # which onnxruntime does not read
            options.intra_op_num_threads = int(os.environ["OMP_NUM_THREADS"])
        providers: list[Any] = ["CPUExecutionProvider"]
        with_gpu = "CUDAExecutionProvider" in runtime.get_available_providers()
        if device is not None and device.startswith("cuda") and not with_gpu:
            raise ConfigError(
                f"device is {device}, and this onnxruntime cannot use a GPU; install onnxruntime-gpu "
                "in its place, or give cpu"
            )
        if device != "cpu" and with_gpu:
            number = int((device or "").partition(":")[2] or local_rank())
            providers.insert(0, ("CUDAExecutionProvider", {"device_id": number}))
        try:
            self.session = runtime.InferenceSession(str(path), options, providers=providers)
        except Exception as error:  # of several types, without a common one
            raise CheckpointError(f"{path} is no ONNX file, or is damaged ({_first_line(error)})") from None
        self.record = json.loads(self.session.get_modelmeta().custom_metadata_map.get(RECORD, "{}"))
        found = self.session.get_inputs()
        self.inputs, self.dtype = len(found), ONNX_TYPES[found[0].type]

    def run(self, images: np.ndarray, modalities: np.ndarray) -> np.ndarray:
        """See ``Network``."""
        feeds = {"images": images.astype(self.dtype, copy=False), "modalities": modalities}
        embeddings: np.ndarray = self.session.run(["embeddings"], dict(list(feeds.items())[: self.inputs]))[0]
        return embeddings


class TorchScriptGraph:
    """A TorchScript file; see ``Graph``."""

    def __init__(self, path: Path, device: str | None) -> None:
        check_device(device)
        self.device = torch.device(default_device(device or "cuda"))
        extra = {RECORD: ""}
        try:
            self.module = torch.jit.load(str(path), map_location=self.device, _extra_files=extra).eval()
        except RuntimeError as error:
            reason = _first_line(error)
            raise CheckpointError(f"{path} is no TorchScript file, or is damaged ({reason})") from None
        self.record = json.loads(extra[RECORD] or "{}")
        self.inputs = len(self.module.forward.schema.arguments) - 1  # the first is the module itself

    @torch.inference_mode()
    def run(self, images: np.ndarray, modalities: np.ndarray) -> np.ndarray:
        """See ``Network``."""
        inputs = [torch.from_numpy(array).to(self.device) for array in (images, modalities)]
        embeddings: torch.Tensor = self.module(*inputs[: self.inputs])
        return embeddings.float().cpu().numpy()


def _modalities(name: str) -> tuple[Modality, ...]:
    both = (Modality.VISIBLE, Modality.INFRARED)
    return both if name == "both" else (Modality[name.upper()],)


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
