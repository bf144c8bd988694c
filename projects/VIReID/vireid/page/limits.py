"""What the page takes, and how it says that it does not."""

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from vireid.errors import ConfigError
from vireid.images import decode_image


@dataclass(frozen=True)
class Limits:
    """Limits on what is uploaded, checked before an image's pixels are read.

    Attributes:
        megabytes: of a file.
        megapixels: of an image.
    """

    megabytes: int = 10
    megapixels: int = 25

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value < 1:
                raise ConfigError(f"--max-{name} is {value}; expected 1 or more")

    def read(self, path: str | Path, name: str) -> Image.Image:
        """An uploaded image, as RGB.

        Args:
            path: of the file.
            name: what its owner calls it, for the error.

        Raises:
            ImageError: it is no image, is damaged, or has too many pixels.
        """
        return decode_image(path, name=name, max_pixels=self.megapixels * 1_000_000)
