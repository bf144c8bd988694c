"""What figures share: files by their suffix, and colors and marks that are told apart in gray as well."""

import importlib
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from vireid.errors import ConfigError
from vireid.files import output_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".svg", ".pdf")
# Eight colors that remain different for the color-blind (Okabe and Ito, 2008).
COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
MARKERS = {"visible": "o", "infrared": "^"}
TEXT: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
}
DOTS = 150  # an inch, in a PNG


def check_figure_path(path: str | Path) -> Path:
    """The file of a figure, refused before anything is computed where it could not be written.

    Raises:
        ConfigError: another suffix, or a folder.
    """
    return output_file(path, SUFFIXES)


def require(package: str, extra: str = "figures") -> Any:
    """A package that only figures need.

    Raises:
        ConfigError: it is not installed; says how to.
    """
    if find_spec(package.split(".")[0]) is None:
        raise ConfigError(f'this figure needs {package}, which is not installed: pip install ".[{extra}]"')
    return importlib.import_module(package)


def new_figure(width: float, height: float) -> "Figure":
    """An empty figure of a size in inches, drawn without a screen."""
    require("matplotlib")
    from matplotlib import rcParams
    from matplotlib.figure import Figure

    rcParams.update(TEXT)
    return Figure(figsize=(width, height), layout="constrained")


def save(drawn: "Figure | Image.Image", path: Path) -> None:
    """Write a figure, or a picture of pixels, in the format that the suffix names."""
    if not isinstance(drawn, Image.Image):
        drawn.savefig(path, dpi=DOTS)
    elif path.suffix.lower() != ".svg":
        drawn.save(path)
    else:
        figure = new_figure(drawn.width / 100, drawn.height / 100)
        figure.figimage(np.asarray(drawn))
        figure.savefig(path, dpi=100)
