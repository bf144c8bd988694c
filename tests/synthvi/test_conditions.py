"""Each condition: it does what it says, and nothing where it is off."""

import math
from dataclasses import fields, replace

import numpy as np
import pytest

from generated_data import content, make, pixels
from synthvi import Conditions
from synthvi.camera import Camera
from synthvi.obstacles import paint_obstacle
from synthvi.persons.materials import Part
from synthvi.persons.painting import paint
from synthvi.persons.person import person_of
from synthvi.persons.pose import View
from synthvi.recipe import SYNTHVI_1_0_CONDITIONS
from synthvi.render import Renderer
from synthvi.sensor import Sensor
from synthvi.situation import PLAIN, Situation, Stranger, draw_situation
from vireid.errors import UserError

HEIGHT, WIDTH = 96, 48
ONE_ON = {
    "box_shift_across": {"box_shift_across": 0.08},
    "box_shift_down": {"box_shift_down": 0.05},
    "box_zoom": {"box_zoom": 0.1},
    "obstacles": {"obstacles": 1.0},
    "strangers": {"strangers": 1.0},
    "low_light": {"low_light": 1.0, "visible_light": (0.2, 0.5), "infrared_light": (0.2, 0.5)},
    "captured_height": {"captured_height": (30, 40)},
    "other_moments": {"other_moments": True},
    "from_behind": {"from_behind": 1.0},
    "turn": {"turn": 0.3},
    "same_build": {"same_build": 1.0},
    "same_garments": {"same_garments": 1.0},
    "muted": {"muted": True},
    "folds": {"folds": 0.2},
    "texture": {"texture": 0.3},
}


def camera(infrared=False, **changes):
    """A camera without blur, noise and falloff, whose light is even."""
    plain = Camera(infrared, 1, True, 0.0, 0.0, 0.1, 0.88, (1.0, 1.0, 1.0), 1.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    return replace(plain, **changes)


def renderer(**cameras):
    return Renderer(cameras, 0, HEIGHT, WIDTH, stranger=lambda number: person_of(99, number))


def photograph(render, key="visible", situation=PLAIN):
    return render.photograph(person_of(0, 1), key, np.random.default_rng(5), situation=situation).astype(int)


def test_every_condition_is_tested_alone():
    light = {"visible_light", "infrared_light"}  # they have an effect with low_light
    assert set(ONE_ON) | light == {field.name for field in fields(Conditions)}


@pytest.mark.parametrize("name", sorted(ONE_ON))
def test_a_condition_changes_images_and_no_list(name, tmp_path):
    make("sysu", tmp_path / "plain", identities=6, images=1, size=(48, 24), test_identities=2)
    make(
        "sysu",
        tmp_path / name,
        identities=6,
        images=1,
        size=(48, 24),
        test_identities=2,
        conditions=Conditions(**ONE_ON[name]),
    )
    plain, changed = content(tmp_path / "plain"), content(tmp_path / name)
    assert plain.keys() == changed.keys()
    assert all(plain[path] == changed[path] for path in plain if path.startswith("exp/"))
    assert any(plain[path] != changed[path] for path in plain)


@pytest.mark.parametrize("layout", ["sysu", "regdb", "llcm"])
def test_all_conditions_together_do_not_depend_on_the_workers(layout, tmp_path):
    options = {"identities": 8, "images": 1, "conditions": SYNTHVI_1_0_CONDITIONS, "size": (48, 24)}
    make(layout, tmp_path / "one", workers=1, **options)
    make(layout, tmp_path / "two", workers=2, **options)
    assert content(tmp_path / "one") == content(tmp_path / "two")


@pytest.mark.parametrize(
    "values, message",
    [
        ({"obstacles": 1.5}, "obstacles is 1.5; expected 0 to 1"),
        ({"turn": -0.1}, "turn is -0.1; expected 0 to 1"),
        ({"box_zoom": 0.4}, "box_zoom is 0.4; expected 0 to 0.25"),
        ({"visible_light": (0.5, 0.2)}, r"visible_light is \(0.5, 0.2\); expected a range in order"),
        ({"captured_height": (0, 90)}, r"captured_height is \(0, 90\); expected a range in order, above 0"),
        ({"same_build": 0.7, "same_garments": 0.6}, "same_build is 0.7 and same_garments 0.6"),
    ],
)
def test_says_which_condition_is_out_of_range(values, message):
    with pytest.raises(UserError, match=message):
        Conditions(**values)


def test_a_point_in_a_shifted_and_zoomed_box():
    view = View(yaw=0.4, pitch=0.2, scale=80.0, center=25.0, floor=90.0)
    shift, zoom = (0.1, -0.05), 1.2
    boxed = view.in_box(HEIGHT, WIDTH, shift, zoom)
    left = WIDTH * (0.5 + shift[0] - 0.5 * zoom)  # of the box, in pixels of the first image
    top = HEIGHT * (0.5 + shift[1] - 0.5 * zoom)
    for point in ((0.0, 0.0, 0.0), (0.1, 1.0, 0.05), (-0.2, 0.4, -0.1)):
        column, row, near = view.project(point)
        expected = ((column - left) / zoom, (row - top) / zoom, near)
        assert boxed.project(point) == pytest.approx(expected)
    assert view.in_box(HEIGHT, WIDTH, (0.0, 0.0), 1.0) is view


def overlap(situation):
    """Intersection over union of the box with the aligned one, in a plain count of points."""
    across, down = situation.shift
    steps = [(index + 0.5) / 100 for index in range(-50, 150)]

    def inside(place, shift):
        return abs(place - 0.5 - shift) < 0.5 * situation.zoom

    columns = [(0 < place < 1, inside(place, across)) for place in steps]
    rows = [(0 < place < 1, inside(place, down)) for place in steps]
    both = sum(a and b for a, b in columns) * sum(a and b for a, b in rows)
    aligned = sum(a for a, _ in columns) * sum(a for a, _ in rows)
    boxed = sum(b for _, b in columns) * sum(b for _, b in rows)
    return both / (aligned + boxed - both)


def test_a_detector_would_have_drawn_the_boxes():
    rng = np.random.default_rng(0)
    overlaps = [overlap(draw_situation(SYNTHVI_1_0_CONDITIONS, rng)) for _ in range(400)]
    assert min(overlaps) > 0.5  # Market-1501 keeps such boxes
    assert 0.7 < np.median(overlaps) < 0.85
    extreme = Situation(shift=(0.16, 0.1), zoom=math.exp(-0.2))
    assert overlap(extreme) > 0.5 and overlap(replace(extreme, zoom=math.exp(0.2))) > 0.5
    assert overlap(PLAIN) == 1


def test_shares_of_images_are_those_of_the_conditions():
    conditions = replace(SYNTHVI_1_0_CONDITIONS, obstacles=0.3, strangers=0.2, from_behind=0.4, turn=0.0)
    rng = np.random.default_rng(0)
    drawn = [draw_situation(conditions, rng) for _ in range(2000)]
    for share, expected in (
        (np.mean([situation.obstacle is not None for situation in drawn]), 0.3),
        (np.mean([situation.stranger is not None for situation in drawn]), 0.2),
        (np.mean([situation.turn == math.pi for situation in drawn]), 0.4),
    ):
        assert share == pytest.approx(expected, abs=0.04)


@pytest.mark.parametrize("key", ["visible", "infrared"])
def test_an_obstacle_hides_its_own_area_alone(key):
    cameras = {"visible": camera(), "infrared": camera(infrared=True)}
    render = renderer(**cameras)
    for seed in range(6):
        labels, _ = paint_obstacle(cameras[key], 0, seed, 2 * HEIGHT, 2 * WIDTH)
        covered = np.asarray(labels).reshape(HEIGHT, 2, WIDTH, 2).max(axis=(1, 3)) > 0
        without = photograph(render, key)
        with_it = photograph(render, key, Situation(obstacle=seed))
        assert (without[~covered] == with_it[~covered]).all()
        assert (without[covered] != with_it[covered]).any(axis=1).mean() > 0.9


def test_most_of_a_person_stays_in_sight():
    view = View(0.2, 0.1, 2 * 0.88 * HEIGHT, WIDTH, 2 * 0.96 * HEIGHT)
    person = np.asarray(paint(person_of(0, 1), 0.0, view, 2 * HEIGHT, 2 * WIDTH)) > 0
    hidden = []
    for outdoor in (True, False):
        for seed in range(150):
            labels, _ = paint_obstacle(camera(outdoor=outdoor), 0, seed, 2 * HEIGHT, 2 * WIDTH)
            hidden.append(np.mean(np.asarray(labels)[person] > 0))
    assert 0.1 < np.mean(hidden) < 0.35
    assert max(hidden) < 0.6


def test_a_stranger_behind_leaves_the_person_and_one_before_does_not():
    render = renderer(visible=camera())
    behind = Stranger(number=0, across=0.3, size=1.0, before=False, yaw=0.3, phase=1.0)
    without = photograph(render)
    rng = np.random.default_rng(5)
    rng.standard_normal()
    fill, center, floor = rng.uniform(0.95, 1.03), rng.uniform(0.45, 0.55), rng.uniform(0.94, 0.975)
    view = View(0.0, 0.1, 2 * 0.88 * fill * HEIGHT, 2 * WIDTH * center, 2 * HEIGHT * floor)
    labels = np.asarray(paint(person_of(0, 1), rng.uniform(0, 2 * math.pi), view, 2 * HEIGHT, 2 * WIDTH))
    person = (labels > 0).reshape(HEIGHT, 2, WIDTH, 2).all(axis=(1, 3))
    changed = (photograph(render, situation=Situation(stranger=behind)) != without).any(axis=2)
    assert person.sum() > 500 and not changed[person].any() and changed[~person].sum() > 100
    before = replace(behind, before=True)
    changed = (photograph(render, situation=Situation(stranger=before)) != without).any(axis=2)
    assert changed[person].any()


def test_a_renderer_without_strangers_says_so():
    render = Renderer({"visible": camera()}, 0, HEIGHT, WIDTH)
    stranger = Stranger(0, 0.4, 1.0, True, 0.0, 0.0)
    with pytest.raises(ValueError, match="was given no strangers"):
        photograph(render, situation=Situation(stranger=stranger))


@pytest.mark.parametrize("infrared", [False, True])
def test_in_low_light_an_image_is_darker_and_noisier(infrared):
    sensor = Sensor(HEIGHT, WIDTH, np.random.default_rng(0))
    gray = np.full((HEIGHT, WIDTH, 1 if infrared else 3), 120.0, dtype=np.float32)
    taken_by = camera(infrared=infrared, noise=4.0)
    bright, dark = (
        sensor.develop(gray, taken_by, np.random.default_rng(1), Situation(light=light)).astype(float)
        for light in (1.0, 0.25)
    )
    assert dark.mean() == pytest.approx(0.5 * bright.mean(), rel=0.02)
    assert dark.std() == pytest.approx(2 * bright.std(), rel=0.05)


def test_the_tint_of_low_light_is_for_visible_images():
    sensor = Sensor(HEIGHT, WIDTH, np.random.default_rng(0))
    situation = Situation(light=0.5, tint=(1.2, 1.0, 0.6))
    visible = sensor.develop(
        np.full((HEIGHT, WIDTH, 3), 100.0, np.float32), camera(), np.random.default_rng(1), situation
    )
    red, green, blue = visible.mean(axis=(0, 1))
    assert red > 1.15 * green and green > 1.5 * blue
    infrared = sensor.develop(
        np.full((HEIGHT, WIDTH, 1), 100.0, np.float32), camera(True), np.random.default_rng(1), situation
    )
    assert (infrared == infrared[..., :1]).all()


def test_a_box_that_was_captured_small_has_no_fine_detail():
    sensor = Sensor(HEIGHT, WIDTH, np.random.default_rng(0))
    stripes = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    stripes[::2] = 200.0  # as fine as rows can be

    def contrast(height):
        situation = Situation(captured_height=height)
        return sensor.develop(stripes, camera(), np.random.default_rng(1), situation).std()

    assert contrast(HEIGHT / 4) < 0.1 * contrast(HEIGHT)
    assert contrast(HEIGHT) == contrast(math.inf)


def test_muted_colors_are_less_saturated_and_infrared_stays():
    def saturation(colors):
        return float(np.mean(1 - colors.min(axis=1) / np.maximum(colors.max(axis=1), 1e-9)))

    for pid in range(1, 20):
        materials = person_of(0, pid).materials
        muted = materials.muted()
        garments = [part for part in Part if part not in (Part.NOTHING, Part.SKIN, Part.HAIR, Part.EYES)]
        assert saturation(muted.visible[garments]) < saturation(materials.visible[garments])
        assert (muted.visible[[Part.SKIN, Part.HAIR]] == materials.visible[[Part.SKIN, Part.HAIR]]).all()
        assert (muted.infrared == materials.infrared).all()


def test_regdb_shows_one_side_and_one_moment(tmp_path):
    options = {"identities": 4, "images": 1, "size": (48, 24)}
    make("regdb", tmp_path / "plain", **options)
    make("regdb", tmp_path / "moved", conditions=Conditions(other_moments=True, from_behind=1.0), **options)
    assert content(tmp_path / "plain") == content(tmp_path / "moved")
    assert pixels(next((tmp_path / "plain").rglob("*.bmp"))).shape == (48, 24, 3)
