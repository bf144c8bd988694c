"""What a camera makes of the light that reaches it: exposure, falloff, blur, resolution and noise."""

import numpy as np
from PIL import Image, ImageFilter

from synthvi.camera import Camera
from synthvi.situation import PLAIN, Situation


class Sensor:
    """Turns light into images of one size.

    Args:
        height, width: of the images in pixels.
        rng: draws the bank of noise.
    """

    def __init__(self, height: int, width: int, rng: np.random.Generator) -> None:
        self.height, self.width = height, width
        self._noise = rng.standard_normal(max(1 << 20, 6 * height * width), dtype=np.float32)
        self._rows = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
        self._columns = np.linspace(-1, 1, width, dtype=np.float32)[None]

    def develop(
        self, image: np.ndarray, camera: Camera, rng: np.random.Generator, situation: Situation = PLAIN
    ) -> np.ndarray:
        """The image that the camera gives.

        In low light the camera amplifies: of a share s of the light it gives back the square root of s,
        and the noise grows by the inverse of that root.

        Args:
            image: (height, width, 1 or 3) float32 light, 0..255 or more.
            camera: decides light, falloff, blur and noise.
            rng: the image's own generator.
            situation: light and captured height of this image.

        Returns:
            (height, width, 3) uint8; three equal channels from an infrared camera.
        """
        gain = camera.gain * max(0.6, 1 + camera.gain_spread * rng.standard_normal())
        row, column = rng.uniform(-0.35, 0.15), rng.uniform(-0.3, 0.3)
        distance = (self._rows - row) ** 2 + (0.8 * (self._columns - column)) ** 2
        lamp = gain * (1 - camera.falloff * (1 - np.exp(-0.7 * distance)))
        image = image * lamp[..., None]
        if not camera.infrared:
            image = image * np.array(camera.light, dtype=np.float32)
        noise = camera.noise
        if situation.light < 1:
            image = image * np.float32(situation.light**0.5)
            noise = noise * situation.light**-0.5
            if not camera.infrared:
                image = image * np.array(situation.tint, dtype=np.float32)
        radius = camera.blur * self.height / 1000
        coarse = situation.captured_height < self.height
        if radius > 0.3 or coarse:
            pixels = _picture(np.clip(image, 0, 255).astype(np.uint8))
            if radius > 0.3:
                pixels = pixels.filter(ImageFilter.BoxBlur(radius))
            if coarse:
                share = situation.captured_height / self.height
                size = max(4, round(share * self.width)), max(8, round(share * self.height))
                pixels = pixels.resize(size, Image.Resampling.BOX)
            image = np.asarray(pixels, dtype=np.float32).reshape(pixels.height, pixels.width, -1)
        start = int(rng.integers(self._noise.size - image.size))
        grain = self._noise[start : start + image.size].reshape(image.shape)
        result = np.clip(image + noise * grain + 0.5, 0, 255).astype(np.uint8)
        if coarse:
            enlarged = _picture(result).resize((self.width, self.height), Image.Resampling.BICUBIC)
            result = np.asarray(enlarged).reshape(self.height, self.width, -1)
        return np.repeat(result, 3, axis=2) if camera.infrared else result


def _picture(pixels: np.ndarray) -> Image.Image:
    """The Pillow image of (H, W, 1 or 3) uint8."""
    return Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[..., 0])
