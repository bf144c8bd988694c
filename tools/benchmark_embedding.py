"""How fast images are embedded from files, beside the network and its backbone alone."""

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np


def embedding_figures(config: str, count: int = 192, rounds: int = 3) -> dict[str, Any]:
    """Images a second from JPEG files, beside the network on images that are ready in memory, and its
    backbone on the same images normalized: what nothing around it could make faster."""
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
        visible = np.zeros(embedder.batch_size, dtype=np.int64)
        model: Any = embedder.network.model  # type: ignore[attr-defined]
        normalized = model.preprocess_image({"images": torch.from_numpy(batch)})
        batches = range(count // embedder.batch_size)

        def network() -> None:
            for _ in batches:
                embedder.network(batch, visible)

        @torch.inference_mode()
        def backbone() -> None:
            for _ in batches:
                model.layout.set(torch.from_numpy(visible))
                model.backbone(normalized)

        work = {
            "embedder": lambda: embedder.embed(paths, "visible"),
            "network": network,
            "backbone": backbone,
        }
        speeds: dict[str, list[float]] = {name: [] for name in work}
        for _ in range(rounds):
            for name, embed in work.items():
                started = time.perf_counter()
                embed()
                speeds[name].append(count / (time.perf_counter() - started))
    median = {name: float(np.median(values)) for name, values in speeds.items()}
    shares = {
        name: float(np.median(np.divide(speeds["embedder"], speeds[name])))
        for name in ("network", "backbone")
    }
    return {
        "config": config,
        "images_per_second": median["embedder"],
        "network_images_per_second": median["network"],
        "backbone_images_per_second": median["backbone"],
        "share_of_network": shares["network"],
        "share_of_backbone": shares["backbone"],
    }
