"""The conditions under which a dataset is photographed. The defaults are those of a plain dataset."""

from dataclasses import dataclass, fields

from vireid.errors import UserError


@dataclass(frozen=True)
class Conditions:
    """What a real dataset has besides; the default of each field is a plain image.

    Raises:
        UserError: a share outside 0..1, a negative amount, or a range out of order.
    """

    # The box around a person, as a detector would place it. Standard deviations, normal, cut at two of
    # them: of the shift as a share of the box's width and height, and of the logarithm of its size.
    box_shift_across: float = 0.0
    box_shift_down: float = 0.0
    box_zoom: float = 0.0

    # Shares of the images with a thing before the person, and with another person beside, before or
    # behind the person.
    obstacles: float = 0.0
    strangers: float = 0.0

    # A sighting is all images of one identity by one camera. Share of the sightings in low light, and
    # the light that is left, as a range of shares of the camera's own, log-uniform.
    low_light: float = 0.0
    visible_light: tuple[float, float] = (1.0, 1.0)
    infrared_light: tuple[float, float] = (1.0, 1.0)

    # Height in pixels at which the box of a sighting was captured, before it was enlarged to the image's
    # size; a range, log-uniform. A height above the image's has no effect. None: every box is captured
    # at the image's size.
    captured_height: tuple[float, float] | None = None

    # Whether posture, pace and the side on which things are carried are drawn anew for each sighting;
    # share of the images from behind, and a further spread of the person's turn (radians, normal).
    other_moments: bool = False
    from_behind: float = 0.0
    turn: float = 0.0

    # Shares of the identities in pairs: of the same build in other garments, and in the same garments
    # with another build.
    same_build: float = 0.0
    same_garments: float = 0.0

    # Whether garments and places have the colors of a street: less saturated, and garments darker, with
    # softer outlines. Relative standard deviations of the brightness by folds of the cloth, and by the
    # texture of leaves; the texture of floors and walls is a sixth of that.
    muted: bool = False
    folds: float = 0.06
    texture: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            _check(field.name, getattr(self, field.name))
        if self.same_build + self.same_garments > 1:
            raise UserError(
                f"same_build is {self.same_build} and same_garments {self.same_garments}; expected a sum "
                "of 1 or less: an identity is in one pair"
            )


def _check(name: str, value: bool | float | tuple[float, float] | None) -> None:
    """Raise UserError for a value that is out of range."""
    if isinstance(value, tuple):
        most = 1024 if name == "captured_height" else 1
        if not 0 < value[0] <= value[1] <= most:
            raise UserError(f"{name} is {value}; expected a range in order, above 0, to {most}")
    elif value is not None:
        largest = 0.25 if name.startswith("box_") else 1
        if not 0 <= value <= largest:
            raise UserError(f"{name} is {value}; expected 0 to {largest}")


PLAIN_CONDITIONS = Conditions()
