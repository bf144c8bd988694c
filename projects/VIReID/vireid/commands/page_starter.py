"""The gallery and the model of a page that is started with nothing: made once, then used again."""

import datetime
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vireid.errors import ConfigError, TrainingError
from vireid.files import output_folder
from vireid.runs.child_processes import child_environment, vireid_command

if TYPE_CHECKING:
    from vireid.inference import Gallery

PACKED, CONFIG = "synthvi/starter", "pmcm/demo"  # with a model, where it is installed; to train one
IDENTITIES, TEST_IDENTITIES, IMAGES = 237, 40, 4
FEWEST = 3  # persons for training, without whom there is no dataset
EPOCHS = 4  # of 100 steps: two and a half minutes on two cores
VISIBLE_CAMERAS, INFRARED_CAMERA = ("cam1", "cam2", "cam4", "cam5"), "cam6"
FIRST = datetime.datetime(2026, 1, 5, 8, 0)  # generated images have no time of their own
EXAMPLES = 8
PROGRESS = re.compile(r"(eta: \S+).*epoch/iter: (\d+)/(\d+)\s+(total_loss: \S+)")


class Starter:
    """Files that ``prepare`` makes, and the model: the one that comes with PACKED, or one that it trains.

    Attributes:
        datasets: the folder for FASTREID_DATASETS; it holds ``dataset``.
        images, store: the gallery's.
        run: the output of a training; None where the model comes with its config.
    """

    def __init__(self, folder: Path) -> None:
        from vireid.engine import packed_weights

        self.folder, packed = folder.absolute(), packed_weights(PACKED)
        self.datasets, self.images = self.folder / "data", self.folder / "gallery"
        self.dataset, self.store = self.datasets / "SYSU-MM01", self.folder / "store"
        self.run = None if packed else self.folder / "run"
        self.config = PACKED if packed else CONFIG
        self.weights = packed or self.folder / "run" / "model_final.pth"
        self.identities = (TEST_IDENTITIES if packed else IDENTITIES) + FEWEST

    @property
    def persons(self) -> list[str]:
        """List the persons of the gallery, whom the training has not seen."""
        return sorted({path.parent.name for path in self.images.glob("*/*/*.jpg")})

    @property
    def examples(self) -> list[Path]:
        """Choose infrared images of some of the gallery's persons."""
        chosen = self.persons[:: max(1, len(self.persons) // EXAMPLES)][:EXAMPLES]
        return [self.dataset / INFRARED_CAMERA / person / "0001.jpg" for person in chosen]

    @property
    def pair(self) -> list[Path]:
        """Choose a visible and an infrared image of one of them."""
        person = self.persons[0]
        return [self.dataset / camera / person / "0001.jpg" for camera in ("cam1", INFRARED_CAMERA)]


def prepare(folder: Path) -> "tuple[Starter, Gallery]":
    """Generate, train and index what is not there yet; what was interrupted goes on.

    Raises:
        ConfigError: the folder cannot be made, or holds something else.
        TrainingError: a step failed; the message holds the end of what it printed.
    """
    starter = Starter(folder)
    output_folder(folder)
    marker = starter.folder / "made-by-vireid-page"
    if not marker.is_file() and any(starter.folder.iterdir()):
        raise ConfigError(
            f"--folder {folder} holds files that vireid page has not made, and would replace some of; "
            "name a new or an empty folder"
        )
    marker.touch()
    if not (starter.dataset / "exp").is_dir():
        print(f"Generating images of {starter.identities} persons (once; kept in {folder})", flush=True)
        shutil.rmtree(starter.dataset, ignore_errors=True)
        partial = starter.datasets / "partial"
        shutil.rmtree(partial, ignore_errors=True)
        numbers = ("--identities", starter.identities, "--test-identities", TEST_IDENTITIES)
        words = ("data", "make", "--layout", "sysu", "--output", partial, "--size", "128x64")
        _run(starter, (*words, *numbers, "--images", IMAGES))
        partial.rename(starter.dataset)
    if starter.run and not starter.weights.is_file():
        print(f"No model comes with {PACKED}: training one, for two or three minutes", flush=True)
        options = ("OUTPUT_DIR", starter.run, "SOLVER.MAX_EPOCH", EPOCHS, "SOLVER.CHECKPOINT_PERIOD", 1)
        _run(starter, ("train", "--resume", "--config-file", CONFIG, *options))
    if not starter.images.is_dir():
        _collect(starter)
    return starter, _indexed(starter)


def _indexed(starter: Starter) -> "Gallery":
    """Open the store of the gallery's images; make it anew where another model has filled it."""
    from vireid.inference import Embedder, Gallery

    embedder = Embedder.from_config(starter.config, starter.weights)
    indexed = starter.folder / "indexed"
    if not indexed.is_file() or indexed.read_text() != embedder.fingerprint:
        print("Embedding the gallery", flush=True)
        indexed.unlink(missing_ok=True)
        shutil.rmtree(starter.store, ignore_errors=True)
    gallery = Gallery.open(starter.store, embedder)
    if not indexed.is_file():
        gallery.index(starter.images)
        gallery.calibrate()
        with tempfile.TemporaryDirectory() as folder, Gallery.open(folder, embedder) as queries:
            queries.index(starter.dataset / INFRARED_CAMERA)
            gallery.calibrate(queries=queries)
        indexed.write_text(embedder.fingerprint)
    return gallery


def _collect(starter: Starter) -> None:
    """Copy the visible images of the test persons, each with an invented time in its name."""
    partial = starter.folder / "partial"
    shutil.rmtree(partial, ignore_errors=True)
    persons = [int(pid) for pid in (starter.dataset / "exp" / "test_id.txt").read_text().split(",")]
    moments = np.random.default_rng(0)
    for person in persons:
        for camera in VISIBLE_CAMERAS:
            passing = FIRST + datetime.timedelta(minutes=int(moments.integers(12 * 60)))
            source = starter.dataset / camera / f"{person:04d}"
            for number, path in enumerate(sorted(source.glob("*.jpg"))):
                time = passing + datetime.timedelta(seconds=number)
                target = partial / camera / source.name / f"{time:%Y%m%d_%H%M%S}_{path.name}"
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
    partial.rename(starter.images)


def _run(starter: Starter, words: Sequence[object]) -> None:
    """Run a command of ``vireid``, showing the progress of a training in short."""
    environment = child_environment(FASTREID_DATASETS=str(starter.datasets))
    lines = []
    with subprocess.Popen(
        vireid_command(*words), env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if found := PROGRESS.search(line):
                eta, epoch, iteration, loss = found.groups()
                step = f"epoch {int(epoch) + 1} of {EPOCHS}, step {int(iteration) + 1}"
                print(f"  {step}, {loss}, {eta}", flush=True)
    if process.returncode:
        raise TrainingError(f"vireid {' '.join(map(str, words))} failed:\n{''.join(lines[-15:])}")
