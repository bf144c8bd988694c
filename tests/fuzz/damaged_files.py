"""Files of every kind that is read, damaged."""

import json
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cases import Tally, attempt, damaged
from PIL import Image
from safetensors.torch import save_file
from scipy.io import savemat

from configs import PROJECTS, all_keys
from vireid.engine import merge_config
from vireid.engine.checkpoints import digest
from vireid.engine.checkpoints.checkpoint import read_checkpoint
from vireid.evaluation.sysu_mm01 import SYSUProtocol
from vireid.images import read_image
from vireid.modeling.weight_files import read_state_dict

TENSORS = {"backbone.conv.weight": torch.arange(24.0).reshape(2, 3, 4), "heads.weight": torch.ones(3, 2)}


def fuzz(cases: int, seed: int, folder: Path) -> Tally:
    """Damage a file and read it."""
    tally, draw = Tally(), random.Random(seed)
    originals = write_originals(folder)
    for _ in range(cases):
        path, read = draw.choice(originals)
        how, content = damaged(path.read_bytes(), draw)
        changed = path.with_name(f"damaged_{path.name}")
        changed.write_bytes(content)
        attempt(tally, f"{path.name}: {how}", partial(read, changed))
    return tally


def write_originals(folder: Path) -> list[tuple[Path, Callable[[Path], Any]]]:
    """Valid files, and what reads each."""
    content = {"model": TENSORS, "epoch": 3, "datasets": {"RegDB": {"split": 1}}}
    torch.save({**content, digest.KEY: digest.content_digest(content)}, folder / "checkpoint.pth")
    torch.save({"model": TENSORS}, folder / "others.pth", _use_new_zipfile_serialization=False)
    torch.save({"state_dict": TENSORS}, folder / "pretrained.pt")
    about = {"format": "pt", "epoch": "3"}
    save_file(TENSORS, folder / "others.safetensors", about)
    about[digest.KEY] = json.dumps(digest.safetensors_digest(TENSORS, about))
    save_file(TENSORS, folder / "exported.safetensors", about)
    cells = np.empty((6, 1), dtype=object)
    for camera in range(6):
        cells[camera, 0] = np.empty((4, 1), dtype=object)
        for pid in range(4):
            cells[camera, 0][pid, 0] = np.array(
                [[1, 2, 3], [3, 1, 2]] if camera != 2 or pid else np.zeros((0, 0))
            )
    savemat(folder / "plain.mat", {"rand_perm_cam": cells})
    savemat(folder / "packed.mat", {"rand_perm_cam": cells}, do_compression=True)
    pixels = np.random.default_rng(0).integers(0, 256, (40, 20, 3), dtype=np.uint8)
    for suffix in ("jpg", "png", "bmp"):
        Image.fromarray(pixels).save(folder / f"image.{suffix}")
    (folder / "config.yml").write_bytes((PROJECTS / "PMCM/configs/sysu.yml").read_bytes())
    readers: dict[str, Callable[[Path], Any]] = {
        ".pth": read_weights,
        ".safetensors": read_weights,
        ".pt": lambda path: read_state_dict(path, "MODEL.BACKBONE.PRETRAIN_PATH"),
        ".mat": draw_galleries,
        ".yml": lambda path: merge_config(all_keys(), str(path), []),
    }
    return [(path, readers.get(path.suffix, look_at)) for path in sorted(folder.iterdir())]


def read_weights(path: Path) -> None:
    """A checkpoint; what has a digest is what was saved, or is refused."""
    found = read_checkpoint(path)["model"]
    if path.name in ("damaged_checkpoint.pth", "damaged_exported.safetensors"):
        assert found.keys() == TENSORS.keys()
        assert all(torch.equal(value, TENSORS[name]) for name, value in found.items()), "changed weights"


def draw_galleries(path: Path) -> None:
    """The galleries that permutations give four identities of three images in every camera."""
    pids, camids, numbers = np.array(np.meshgrid([1, 2, 3, 4], range(1, 7), [1, 2, 3])).reshape(3, -1)
    for shots in (1, 10):
        setting = SYSUProtocol(path, shots=shots, trials=2).setting(pids, camids, numbers)
        for trial in setting.trials:
            assert len(trial.gallery) == 4 * 4 * min(shots, 3)


def look_at(path: Path) -> None:
    """An image of three channels."""
    assert len(read_image(path).getbands()) == 3
