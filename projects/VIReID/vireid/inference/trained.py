"""A network from a config and its weights, by the toolkit."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import torch
from yacs.config import CfgNode

from vireid.engine.checks import check_config
from vireid.engine.evaluation import load_for_evaluation
from vireid.inference.devices import default_device
from vireid.modality import Modality
from vireid.preprocessing import Preprocessing, model_fingerprint


class TrainedNetwork:
    """The model of a config, in evaluation mode; see ``Network``. Threads take turns.

    Args:
        cfg: merged; MODEL.WEIGHTS names the weights.
        device: such as "cuda:1"; None: MODEL.DEVICE, where "cuda" is the GPU of this process, and the CPU
            where there is none.

    Raises:
        ConfigError, CheckpointError: as for an evaluation.
    """

    # Held while the model computes: its streams share the layout of one batch.
    lock: threading.RLock
    modalities: tuple[Modality, ...] = (Modality.VISIBLE, Modality.INFRARED)

    def __init__(self, cfg: CfgNode, device: str | None = None) -> None:
        self.lock = threading.RLock()
        cfg = cfg.clone()
        cfg.defrost()
        cfg.MODEL.DEVICE = device or default_device(cfg.MODEL.DEVICE)
        cfg.DATASETS.TESTS = ()  # which data a model was tested on does not matter here
        check_config(cfg)
        self.model: Any = load_for_evaluation(cfg).eval()
        self.preprocessing = Preprocessing.from_config(cfg)
        self.fingerprint = model_fingerprint(self.model, self.preprocessing)
        self.name = Path(cfg.MODEL.WEIGHTS).name or "a model that is not trained"
        height, width = self.preprocessing.size
        self.dimension = self(np.zeros((1, 3, height, width), np.uint8), np.zeros(1, np.int64)).shape[1]

    @torch.inference_mode()
    def __call__(self, images: np.ndarray, modalities: np.ndarray) -> np.ndarray:
        """See ``Network``."""
        batch = {"images": torch.from_numpy(images), "modalities": torch.from_numpy(modalities)}
        with self.lock:
            embeddings: torch.Tensor = self.model(batch)
        return embeddings.float().cpu().numpy()
