"""Config files that are no configs: each is refused in one line, in time."""

import os

import pytest

from configs import all_keys
from vireid.engine import merge_config
from vireid.errors import ConfigError

BOMB = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"{after}: &{after} [{', '.join([f'*{before}'] * 9)}]\n" for before, after in zip("abcdefgh", "bcdefghi")
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "OUTPUT_DIR: 2026-11-21",
            r"OUTPUT_DIR is 2026-11-21 \(date\); .*: put text in quotes",
        ),
        ("SEED: !!set {1, 2}", r"SEED is {.*} \(set\); expected text"),
        ("OUTPUT_DIR: !!binary aGVsbG8=", r"OUTPUT_DIR is b'hello' \(bytes\)"),
        ("SEED: 2026-13-45", "is not YAML: month must be in 1..12"),
        ("SEED: 1\nSEED: 2", "is not YAML: the key SEED stands twice in one group in line 2"),
        ("MODEL:\n  HEADS: {NAME: a, NAME: b}", "the key NAME stands twice in one group"),
        ("1: 2", r"the key 1 is no text \(int\)"),
        ("SEED: " + "[" * 5000, "is nested more than 20 levels deep"),
        ("SEED: " + "[" * 30 + "]" * 30, "is nested more than 20 levels deep"),
        ("SEED: &a [*a]", "is nested more than 20 levels deep"),
        (BOMB, "holds more than 10000 values, anchors included"),
        ("SEED: !!python/object/apply:os.system [ls]", "is not YAML: could not determine a constructor"),
        ("SEED: 0x" + "f" * 5000, "SEED is a huge int; expected an integer from -1"),
        ("SOLVER: {BASE_LR: 1" + "0" * 400 + "}", "BASE_LR is .*; expected float"),
        ("- 1", "holds no keys"),
        ("#" * (1 << 20) + "\nSEED: 1", "has 1048584 bytes, and more than 1048576 are not read"),
    ],
)
def test_each_is_refused_in_one_line(tmp_path, text, message):
    path = tmp_path / "config.yml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message) as error:
        merge_config(all_keys(), str(path), [])
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 600


def test_anchors_and_merges_are_allowed(tmp_path):
    path = tmp_path / "config.yml"
    path.write_text("INPUT:\n  SIZE_TRAIN: &size [64, 32]\n  SIZE_TEST: *size\nSOLVER: {<<: {GAMMA: 0.5}}\n")
    cfg = all_keys()
    merge_config(cfg, str(path), [])
    assert (cfg.INPUT.SIZE_TEST, cfg.SOLVER.GAMMA) == ([64, 32], 0.5)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "config.yml")
    with pytest.raises(ConfigError, match="config.yml is no regular file, but a pipe, a socket or a device"):
        merge_config(all_keys(), str(tmp_path / "config.yml"), [])
    with pytest.raises(ConfigError, match=f"the config file {tmp_path} is a folder"):
        merge_config(all_keys(), str(tmp_path), [])


def test_a_long_chain_of_bases_is_refused(tmp_path):
    for number in range(30):
        (tmp_path / f"{number}.yml").write_text(f"_BASE_: {number + 1}.yml\nSEED: 1\n")
    with pytest.raises(ConfigError, match="0.yml: its bases have bases of their own, more than 20 in a row"):
        merge_config(all_keys(), str(tmp_path / "0.yml"), [])


@pytest.mark.parametrize("value", ["[" * 3000, "(" * 300 + ")" * 300])
def test_a_nested_value_of_the_command_line_is_refused(value):
    with pytest.raises(ConfigError, match="OUTPUT_DIR|MODEL.PIXEL_MEAN") as error:
        merge_config(all_keys(), "", ["MODEL.PIXEL_MEAN", value])
    assert len(str(error.value)) < 300


def test_a_module_without_a_specification_is_no_config():
    with pytest.raises(ConfigError, match="no file __main__/sysu, and no config of that name"):
        merge_config(all_keys(), "__main__/sysu", [])
