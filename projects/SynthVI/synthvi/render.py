"""Renders images: colors a painted person, adds background and light, and applies the camera."""

import math

import numpy as np
from PIL import Image, ImageFilter

from synthvi.camera import Camera
from synthvi.paint import paint
from synthvi.person import Identity
from synthvi.pose import View
from synthvi.scene import PANORAMA, background

_DETAIL = 2  # a person is painted at this many times the size and reduced


class Renderer:
    """Renders with one set of cameras at one size. The constructor draws the backgrounds.

    Args:
        cameras: by name.
        seed: of the dataset.
        height, width: of the images in pixels.
    """

    def __init__(self, cameras: dict[str, Camera], seed: int, height: int, width: int) -> None:
        self.cameras, self.height, self.width = cameras, height, width
        self._backgrounds = {
            key: background(
                camera,
                np.random.default_rng([seed, 11, camera.place]),
                np.random.default_rng([seed, 12, camera.place, camera.infrared]),
                height,
                width,
            )
            for key, camera in cameras.items()
        }
        rng = np.random.default_rng([seed, 13])
        self._noise = rng.standard_normal(max(1 << 20, 6 * height * width), dtype=np.float32)
        self._folds = self._fold_bank(rng)
        self._rows = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
        self._columns = np.linspace(-1, 1, width, dtype=np.float32)[None]

    def _fold_bank(self, rng: np.random.Generator) -> np.ndarray:
        """Smooth noise with vertical grain, (2 height, 2 width): folds of cloth."""
        height, width = 2 * self.height, 2 * self.width
        grid = rng.standard_normal((28, max(4, 28 * width // height * 2))).astype(np.float32)
        return np.asarray(Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC))

    def photograph(
        self, person: Identity, key: str, rng: np.random.Generator, back: bool = False
    ) -> np.ndarray:
        """One image of a person.

        Args:
            person: who is photographed.
            key: the camera's name.
            rng: the image's own generator.
            back: the person walks away from the camera.

        Returns:
            (height, width, 3) uint8 RGB; three equal channels from an infrared camera.
        """
        camera, height, width = self.cameras[key], self.height, self.width
        yaw = camera.yaw + camera.yaw_spread * rng.standard_normal() + (math.pi if back else 0.0)
        fill = camera.fill * rng.uniform(0.95, 1.03) * min(height, 2 * width)
        view = View(
            yaw,
            camera.pitch,
            _DETAIL * fill,
            _DETAIL * width * rng.uniform(0.45, 0.55),
            _DETAIL * height * rng.uniform(0.94, 0.975),
        )
        labels = paint(person, rng.uniform(0, 2 * math.pi), view, _DETAIL * height, _DETAIL * width)
        alpha = labels.point([0] + [255] * 255).reduce(_DETAIL)
        if camera.infrared:
            figure = labels.point(person.materials.infrared_palette()[:, 0].tolist())
        else:
            labels.putpalette(person.materials.visible_palette().tobytes())
            figure = labels.convert("RGB")
        colors = np.asarray(figure.reduce(_DETAIL), dtype=np.float32).reshape(height, width, -1)
        scene = self._scene(key, rng, view)[..., : colors.shape[2]]
        cover = np.asarray(alpha, dtype=np.float32)[..., None] * np.float32(1 / 255)
        image = colors * self._shading(rng, camera, view, alpha)[..., None] + (1 - cover) * scene
        return self._develop(image, camera, rng)

    def _scene(self, key: str, rng: np.random.Generator, view: View) -> np.ndarray:
        """The background with the person's shadow on the floor, (height, width, 3)."""
        start = int(rng.integers((PANORAMA - 1) * self.width))
        scene = self._backgrounds[key][:, start : start + self.width]
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
        return (0.66 + inner * np.float32(0.36 / 255)) * (1 + 0.06 * folds + 0.3 * side)

    def _develop(self, image: np.ndarray, camera: Camera, rng: np.random.Generator) -> np.ndarray:
        """The image after light, falloff, blur and noise of the camera, uint8."""
        gain = camera.gain * max(0.6, 1 + camera.gain_spread * rng.standard_normal())
        row, column = rng.uniform(-0.35, 0.15), rng.uniform(-0.3, 0.3)
        distance = (self._rows - row) ** 2 + (0.8 * (self._columns - column)) ** 2
        lamp = gain * (1 - camera.falloff * (1 - np.exp(-0.7 * distance)))
        image = image * lamp[..., None]
        if not camera.infrared:
            image = image * np.array(camera.light, dtype=np.float32)
        radius = camera.blur * self.height / 1000
        if radius > 0.3:
            pixels = np.clip(image, 0, 255).astype(np.uint8)
            blurred = Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[..., 0])
            image = np.asarray(blurred.filter(ImageFilter.BoxBlur(radius)), dtype=np.float32)
            image = image.reshape(self.height, self.width, -1)
        start = int(rng.integers(self._noise.size - image.size))
        grain = self._noise[start : start + image.size].reshape(image.shape)
        pixels = np.clip(image + camera.noise * grain + 0.5, 0, 255).astype(np.uint8)
        return np.repeat(pixels, 3, axis=2) if camera.infrared else pixels
