"""What a dataset holds before any image is rendered: the images, the cameras and the lists."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from synthvi.camera import Camera, sample_camera

Draw = Callable[[str], np.random.Generator]  # a random generator for each purpose


@dataclass(frozen=True)
class Shot:
    """One image to render.

    Attributes:
        path: of the file, relative to the dataset's folder.
        pid: the identity, from 1.
        camera: name of the camera.
        number: counts the images of one identity and camera, from 1.
    """

    path: str
    pid: int
    camera: str
    number: int


@dataclass(frozen=True)
class Plan:
    """A whole dataset.

    Attributes:
        cameras: by name.
        shots: every image, grouped by identity and camera.
        lists: the content of each list file, by path; written after all images.
        splits: (N,) int identities that are trained or tested on together, by name.
        fixed_facing: a person is seen from the front only, or from behind only (RegDB).
    """

    cameras: dict[str, Camera]
    shots: list[Shot]
    lists: dict[str, bytes]
    splits: dict[str, np.ndarray]
    fixed_facing: bool = False


def draw_camera(draw: Draw, name: str, infrared: bool, place: int, outdoor: bool) -> Camera:
    """The camera of a name; its generator depends on the seed and the name alone."""
    return sample_camera(draw(f"camera {name}"), infrared, place, outdoor)


def id_list(pids: np.ndarray) -> bytes:
    """One line of identities with commas between them, as in exp/train_id.txt."""
    return (",".join(str(pid) for pid in pids) + "\n").encode()
