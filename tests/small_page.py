"""A small page for tests: a gallery of plain pictures, and a network that embeds their mean color."""

import contextlib
import json
import threading
from pathlib import Path

import numpy as np
from PIL import Image

from vireid.inference import Embedder, Gallery
from vireid.modality import Modality
from vireid.page.app import Content, build_page
from vireid.page.finder import Finder
from vireid.page.run_pictures import RunPictures
from vireid.page.server import LOOPBACK, listen, page_server
from vireid.page.uploads import Limits
from vireid.preprocessing import Preprocessing

COLORS = [(200, 40, 40), (40, 160, 60), (50, 70, 200), (200, 180, 40)]  # of four persons
CAMERAS = (1, 2, 4)
LIMITS = Limits(megabytes=1, megapixels=1)


class MeanColor:
    """A ``Network`` whose embedding is the mean color less gray, and the brightness."""

    name, fingerprint, dimension = "mean color", "0" * 16, 4
    preprocessing = Preprocessing((64, 32))
    modalities = (Modality.VISIBLE, Modality.INFRARED)
    source = ""

    def __call__(self, images, modalities):
        mean = images.reshape(len(images), 3, -1).mean(axis=2)
        return np.concatenate([mean - 100, mean.mean(axis=1, keepdims=True)], axis=1).astype(np.float32)


def picture(color, seed):
    """A picture of one color, with some grain."""
    grain = np.random.default_rng(seed).integers(-12, 13, (96, 48, 3))
    return Image.fromarray(np.clip(np.array(color) + grain, 0, 255).astype(np.uint8))


def make_images(folder: Path) -> Path:
    """cam<c>/<person>/2026010<day>_<time>.png: two images of each person by each camera."""
    for person, color in enumerate(COLORS, start=1):
        for camera in CAMERAS:
            for day in (1, 2):
                path = folder / f"cam{camera}" / f"{person:04d}" / f"2026010{day}_08{person:02d}00.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                picture(color, 100 * person + 10 * camera + day).save(path)
    return folder


def make_run(folder: Path) -> Path:
    """A run's folder, with metrics.json."""
    folder.mkdir()
    lines = [{"iteration": n, "total_loss": 3 / (n + 1), "lr": 0.1} for n in range(5)]
    (folder / "metrics.json").write_text("\n".join(map(json.dumps, lines)))
    return folder


def make_content(folder: Path) -> Content:
    """What the page shows; its store is in ``folder``."""
    gallery = Gallery.open(folder / "store", Embedder(MeanColor(), threads=1))
    gallery.index(make_images(folder / "gallery"))
    infrared = folder / "night.png"
    picture((90, 90, 90), 5).convert("L").convert("RGB").save(infrared)
    return Content(
        Finder(gallery, LIMITS),
        MeanColor.preprocessing.size,
        RunPictures(make_run(folder / "run")),
        examples=[infrared],
        pair=[folder / "gallery" / "cam1" / "0001" / "20260101_080100.png", infrared],
    )


@contextlib.contextmanager
def served(content: Content, names=()):
    """The address of a page that is served meanwhile, at a free port."""
    server = page_server(build_page(content), names=names, limits=LIMITS)
    with contextlib.closing(listen(port=0)) as listening:
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        yield f"http://{LOOPBACK}:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join()
