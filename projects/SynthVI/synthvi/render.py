"""Renders images: colors painted persons, adds background and light, and applies the camera."""

import math
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter

from synthvi.camera import Camera
from synthvi.conditions import PLAIN_CONDITIONS, Conditions
from synthvi.obstacles import paint_obstacle
from synthvi.persons.painting import paint
from synthvi.persons.person import Identity
from synthvi.persons.pose import View
from synthvi.scene import PANORAMA, background
from synthvi.sensor import Sensor
from synthvi.situation import PLAIN, Situation, Stranger

_DETAIL = 2  # a person is painted at this many times the size and reduced


class Renderer:
    """Renders with one set of cameras at one size. The constructor draws the backgrounds.

    Args:
        cameras: by name.
        seed: of the dataset.
        height, width: of the images in pixels.
        conditions: decide the folds of cloth, and colors and texture of the places.
        stranger: gives a person who is in no dataset, by number.
    """

    def __init__(
        self,
        cameras: dict[str, Camera],
        seed: int,
        height: int,
        width: int,
        conditions: Conditions = PLAIN_CONDITIONS,
        stranger: Callable[[int], Identity] | None = None,
    ) -> None:
        self.cameras, self.seed, self.height, self.width = cameras, seed, height, width
        self.folds, self.stranger = conditions.folds, stranger
        self._backgrounds = {
            key: background(
                camera,
                np.random.default_rng([seed, 11, camera.place]),
                np.random.default_rng([seed, 12, camera.place, camera.infrared]),
                height,
                width,
                conditions,
            )
            for key, camera in cameras.items()
        }
        rng = np.random.default_rng([seed, 13])
        self._sensor = Sensor(height, width, rng)
        self._folds = self._fold_bank(rng)
        self._rows = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
        self._columns = np.linspace(-1, 1, width, dtype=np.float32)[None]

    def _fold_bank(self, rng: np.random.Generator) -> np.ndarray:
        """Smooth noise with vertical grain, (2 height, 2 width): folds of cloth."""
        height, width = 2 * self.height, 2 * self.width
        grid = rng.standard_normal((28, max(4, 28 * width // height * 2))).astype(np.float32)
        return np.asarray(Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC))

    def photograph(
        self,
        person: Identity,
        key: str,
        rng: np.random.Generator,
        back: bool = False,
        situation: Situation = PLAIN,
    ) -> np.ndarray:
        """One image of a person.

        Args:
            person: who is photographed.
            key: the camera's name.
            rng: the image's own generator.
            back: the person walks away from the camera.
            situation: the image's box, light, detail, and what else is in sight.

        Returns:
            (height, width, 3) uint8 RGB; three equal channels from an infrared camera.
        """
        camera, height, width = self.cameras[key], self.height, self.width
        yaw = camera.yaw + camera.yaw_spread * rng.standard_normal() + (math.pi if back else 0.0)
        fill = camera.fill * rng.uniform(0.95, 1.03) * min(height, 2 * width)
        view = View(
            yaw + situation.turn,
            camera.pitch,
            _DETAIL * fill,
            _DETAIL * width * rng.uniform(0.45, 0.55),
            _DETAIL * height * rng.uniform(0.94, 0.975),
        )
        view = view.in_box(_DETAIL * height, _DETAIL * width, situation.shift, situation.zoom)
        labels = paint(person, rng.uniform(0, 2 * math.pi), view, _DETAIL * height, _DETAIL * width)
        colors, alpha = self._color(labels, _palette(person, camera))
        scene = self._scene(key, rng, view, situation)[..., : colors.shape[2]]
        figure = colors * self._shading(rng, camera, view, alpha)[..., None]
        stranger = situation.stranger
        if stranger and not stranger.before:
            scene = self._with_stranger(scene, stranger, view, camera)
        image = figure + (1 - _cover(alpha)) * scene
        if stranger and stranger.before:
            image = self._with_stranger(image, stranger, view, camera)
        if situation.obstacle is not None:
            image = self._with_obstacle(image, situation.obstacle, camera)
        return self._sensor.develop(image, camera, rng, situation)

    def _color(self, labels: Image.Image, palette: np.ndarray) -> tuple[np.ndarray, Image.Image]:
        """The colors of a label map, (height, width, 3 or 1), 0 where nothing is; and the coverage."""
        alpha = labels.point([0] + [255] * 255).reduce(_DETAIL)
        if palette.shape[1] == 1:
            colored = labels.point(palette[:, 0].tolist())
        else:
            labels.putpalette(palette.tobytes())
            colored = labels.convert("RGB")
        colors = np.asarray(colored.reduce(_DETAIL), dtype=np.float32)
        return colors.reshape(self.height, self.width, -1), alpha

    def _scene(self, key: str, rng: np.random.Generator, view: View, situation: Situation) -> np.ndarray:
        """The background with the person's shadow on the floor, (height, width, 3)."""
        start = int(rng.integers((PANORAMA - 1) * self.width))
        scene = self._backgrounds[key][:, start : start + self.width]
        down = round(situation.shift[1] * self.height)
        if down:  # beyond the background's edge it is mirrored
            rows = np.abs(np.arange(self.height) + down)
            scene = scene[np.minimum(rows, 2 * (self.height - 1) - rows)]
        floor = view.floor / (_DETAIL * self.height) * 2 - 1
        center = view.center / (_DETAIL * self.width) * 2 - 1
        shift = center - 0.25 * self.cameras[key].side
        spot = ((self._rows - floor) / 0.055) ** 2 + ((self._columns - shift) / 0.55) ** 2
        return scene * (1 - 0.4 * np.exp(-spot))[..., None]

    def _shading(
        self, rng: np.random.Generator, camera: Camera, view: View, alpha: Image.Image
    ) -> np.ndarray:
        """Factors (height, width) for folds, roundness at the silhouette and light from one side."""
        top, left = int(rng.integers(self.height)), int(rng.integers(self.width))
        folds = self._folds[top : top + self.height, left : left + self.width]
        inner = np.asarray(alpha.filter(ImageFilter.BoxBlur(self.height / 50)), dtype=np.float32)
        side = camera.side * (self._columns - (view.center / (_DETAIL * self.width) * 2 - 1))
        return (0.66 + inner * np.float32(0.36 / 255)) * (1 + self.folds * folds + 0.3 * side)

    def _with_stranger(self, image: np.ndarray, stranger: Stranger, view: View, camera: Camera) -> np.ndarray:
        """The image with a stranger in front of all that is in it."""
        if self.stranger is None:
            raise ValueError("the situation has a stranger, but the renderer was given no strangers")
        person = self.stranger(stranger.number)
        nearer = 0.04 if stranger.before else -0.03  # who is nearer stands lower in the image
        other = View(
            stranger.yaw,
            view.pitch,
            view.scale * stranger.size,
            view.center + stranger.across * _DETAIL * self.width,
            view.floor + nearer * _DETAIL * self.height,
        )
        labels = paint(person, stranger.phase, other, _DETAIL * self.height, _DETAIL * self.width)
        colors, alpha = self._color(labels, _palette(person, camera))
        rng = np.random.default_rng([self.seed, 15, stranger.number])
        return colors * self._shading(rng, camera, other, alpha)[..., None] + (1 - _cover(alpha)) * image

    def _with_obstacle(self, image: np.ndarray, seed: int, camera: Camera) -> np.ndarray:
        """The image with a thing in front of all that is in it."""
        labels, palette = paint_obstacle(camera, self.seed, seed, _DETAIL * self.height, _DETAIL * self.width)
        colors, alpha = self._color(labels, palette)
        folds = self._folds[: self.height, : self.width, None]
        return colors * (1 + 0.03 * folds) + (1 - _cover(alpha)) * image


def _palette(person: Identity, camera: Camera) -> np.ndarray:
    """The color of each label of a person in a camera's modality, (256, 3 or 1) uint8."""
    materials = person.materials
    return materials.infrared_palette() if camera.infrared else materials.visible_palette()


def _cover(alpha: Image.Image) -> np.ndarray:
    """(height, width, 1) share of each pixel that is covered."""
    return np.asarray(alpha, dtype=np.float32)[..., None] * np.float32(1 / 255)
