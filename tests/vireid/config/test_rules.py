"""What config keys may hold: the rules, and that every key has one."""

import math

import pytest
from fastreid.config import get_cfg

from configs import all_keys, tiny_config
from vireid.config.rules import (
    RULES,
    add_key,
    bounds,
    check_values,
    choice,
    flag,
    integer,
    leaves,
    listing,
    matching,
    names,
    number,
    size,
    text,
)
from vireid.config.toolkit_keys import UNUSED
from vireid.engine.checks import check_config
from vireid.errors import ConfigError


def test_every_key_has_a_rule_that_its_default_keeps():
    """A key that a config.py adds without ``add_key`` is found here; so is a rule of no key."""
    values = dict(leaves(all_keys()))
    assert sorted(values) == sorted({*(key for key in RULES if key in values), *UNUSED})
    assert [key for key, value in values.items() if key in RULES and not RULES[key].holds(value)] == []
    assert set(UNUSED) <= set(dict(leaves(get_cfg())))


def test_numbers_and_lists_have_a_range():
    """No rule but those of texts takes a huge number, NaN, or a long list of nonsense."""
    for key, value in leaves(all_keys()):
        if key in RULES and not isinstance(value, str):
            for nonsense in (10**12, math.nan, -(10**12), [-1], [math.nan] * 50, {}, object()):
                assert not RULES[key].holds(nonsense) or key == "MODEL.MDA.STAGES", (key, nonsense)


def test_examples_keep_their_rule():
    assert [key for key, rule in RULES.items() if not all(map(rule.holds, rule.examples))] == []


@pytest.mark.parametrize(
    ("rule", "inside", "outside"),
    [
        (flag(), (True, False), (0, 1, "True", None)),
        (text(), ("", "a b", "é"), (1, None, "a\nb", "a\0b", "\udcff", "a" * 1001)),
        (text(empty=False), ("a",), ("",)),
        (matching(r"cpu|cuda(:\d)?", "cpu or cuda"), ("cpu", "cuda:1"), ("cpu:0", "cuda:", "cpu\n", 1)),
        (choice("a", "b"), ("a", "b"), ("c", "", 1, ["a"])),
        (choice(0, 1), (0, 1), (True, 2, 1.0)),
        (integer(0, 3), (0, 3), (-1, 4, 1.0, True, "1", math.nan)),
        (number(0, 1), (0, 1, 0.5, 1.0), (-1e-9, 1.001, math.nan, math.inf, True, "1", None)),
        (number(0, 1, above=True, below=True), (0.5,), (0, 1)),
        (number(0, 1, or_else=-1), (-1, 0.5), (-0.5,)),
        (number(1, 9, or_else=math.inf), (1, math.inf), (0.5, 10, math.nan, -math.inf)),
        (listing(integer(0, 2)), ([], [0, 2], (1,)), ([3], [0, "1"], "01", None, 1)),
        (listing(integer(0, 2), 1, 3), ([1], [0, 1, 2]), ([], [0, 1], [0, 1, 3])),
        (names(), ([], ["a", "b"], ("a",)), (["a", "a"], [""], [1], "a", [["a"]])),
        (names(repeated=True), (["a", "a"],), ([-1],)),
        (bounds(0, 1, above=True), ([0.1, 0.2], (1, 1)), ([0, 1], [0.2, 0.1], [0.5], [0.1, math.nan], "01")),
        (size(10), ([1, 10],), ([0, 5], [11, 5], [5], ["x"], [5.0, 5], "ab")),
    ],
)
def test_rules(rule, inside, outside):
    assert all(map(rule.holds, inside))
    assert not any(map(rule.holds, outside))
    assert all(map(rule.holds, rule.examples))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("MODEL.LOSSES.TRI.SCALE", -1.0, "is -1.0; expected a number from 0 to 1000000"),
        ("MODEL.LOSSES.CE.EPSILON", 1.5, "is 1.5; expected a number from 0 to 1, or -1"),
        ("SOLVER.HEADS_LR_FACTOR", -10.0, "is -10.0; expected a number from 0 to 10000"),
        ("SOLVER.CLIP_GRADIENTS.CLIP_VALUE", 0.0, "is 0.0; expected a number above 0, at most 1000000"),
        ("SOLVER.WEIGHT_DECAY", -1.0, "is -1.0; expected a number from 0 to 10"),
        ("SOLVER.WARMUP_FACTOR", -0.1, "is -0.1; expected a number from 0 to 1"),
        ("TEST.RERANK.LAMBDA", 1e30, "is 1e+30; expected a number from 0 to 1"),
        (
            "MODEL.PIXEL_STD",
            [58.0, -1.0, 57.0],
            "expected a list of 3 entries, each a number from 0.001 to 255",
        ),
        ("MODEL.PIXEL_MEAN", [], "is []; expected a list of 3 entries, each a number from 0 to 255"),
        ("INPUT.PADDING.SIZE", 10**9, "is 1000000000; expected an integer from 0 to 1024"),
        ("DATASETS.TRIALS", 10**9, "is 1000000000; expected an integer from 1 to 1000"),
        ("TEST.AQE.QE_TIME", 10**9, "is 1000000000; expected an integer from 1 to 100"),
        ("MODEL.DEVICE", "", "is ''; expected cpu, cuda, or a GPU such as cuda:0"),
        ("MODEL.BACKBONE.WIDTH", 0, "is 0; expected an integer from 1 to 1024"),
        ("INPUT.SIZE_TRAIN", ["x"], "is ['x']; expected [height, width] in pixels"),
        ("OUTPUT_DIR", "a\0b", "is 'a\\x00b'; expected text of 1 to 1000 characters"),
        ("DATASETS.NAMES", [-1] * 40, f"is ({'-1, ' * 19}...; expected a list of names, each once"),
    ],
)
def test_a_value_outside_its_rule_is_refused_before_anything_is_built(key, value, message):
    cfg = tiny_config()
    cfg.merge_from_list([key, value])
    with pytest.raises(ConfigError) as error:
        check_config(cfg)
    assert str(error.value).startswith(key)
    assert message in str(error.value)


def test_a_key_in_a_new_group_has_its_rule():
    cfg = all_keys()
    add_key(cfg, "MODEL.LOSSES.NIGHT.SCALE", 1.0, number(0, 1))
    assert cfg.MODEL.LOSSES.NIGHT.SCALE == 1.0
    assert type(cfg.MODEL.LOSSES.NIGHT) is type(cfg)
    cfg.MODEL.LOSSES.NIGHT.SCALE = 2.0
    with pytest.raises(
        ConfigError, match=r"MODEL\.LOSSES\.NIGHT\.SCALE is 2\.0; expected a number from 0 to 1"
    ):
        check_values(cfg)
    del RULES["MODEL.LOSSES.NIGHT.SCALE"]


def test_a_key_needs_a_rule_that_its_default_keeps():
    with pytest.raises(ValueError, match="MODEL.NIGHT: give it a rule"):
        add_key(all_keys(), "MODEL.NIGHT", 3)
    with pytest.raises(ValueError, match="MODEL.NIGHT: 3 breaks its rule"):
        add_key(all_keys(), "MODEL.NIGHT", 3, integer(0, 2))
