"""How fast images are embedded from files, beside the network alone."""

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np


def embedding_figures(config: str, count: int = 192, rounds: int = 3) -> dict[str, Any]:
    """Images a second from JPEG files, beside the network alone on images that are ready in memory."""
    import torch
    from PIL import Image

    from vireid import Embedder
    from vireid.engine import full_config
    from vireid.engine.models import build_model

    opts = ["MODEL.BACKBONE.PRETRAIN", "False", "MODEL.HEADS.NUM_CLASSES", "10", "MODEL.DEVICE", "cpu"]
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "model.pth"
        torch.save({"model": build_model(full_config(config, opts)).state_dict()}, weights)
        embedder = Embedder.from_config(config, weights, opts=opts)
        generator = np.random.default_rng(0)
        paths = []
        for number in range(count):
            coarse = Image.fromarray(generator.integers(0, 256, (16, 8, 3), dtype=np.uint8))
            paths.append(str(Path(folder) / f"{number}.jpg"))
            coarse.resize((144, 288)).save(paths[-1], quality=90)
        size = embedder.network.preprocessing.size
        batch = generator.integers(0, 256, (embedder.batch_size, 3, *size), dtype=np.uint8)
        modalities = np.arange(embedder.batch_size) % 2
        speeds: dict[str, list[float]] = {"embedder": [], "network": []}
        for _ in range(rounds):
            started = time.perf_counter()
            embedder.embed(paths, "visible")
            speeds["embedder"].append(count / (time.perf_counter() - started))
            started = time.perf_counter()
            for _ in range(count // embedder.batch_size):
                embedder.network(batch, 0 * modalities)
            speeds["network"].append(count / (time.perf_counter() - started))
    share = float(np.median(np.array(speeds["embedder"]) / np.array(speeds["network"])))
    return {
        "config": config,
        "images_per_second": float(np.median(speeds["embedder"])),
        "network_images_per_second": float(np.median(speeds["network"])),
        "share": share,
    }
