import importlib
import sys

import pytest

from configs import all_keys
from vireid.config.files import merge_config
from vireid.errors import ConfigError
from vireid.modeling import LOSS_REGISTRY

PLUGIN = """
from torch import nn
from vireid.modeling import LOSS_REGISTRY

calls = []

def add_config(cfg):
    calls.append(cfg)
    cfg.MODEL.LOSSES.{key} = type(cfg)({{"SCALE": 2.0}})

@LOSS_REGISTRY.register()
class {name}(nn.Module):
    config_key = "{key}"

    @classmethod
    def from_config(cls, cfg):
        return cls()
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working directory, empty; modules and the search path are put back afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("plugin_"):
            del sys.modules[name]


def test_a_plugin_of_the_file_registers_and_adds_its_keys(folder):
    (folder / "plugin_a.py").write_text(PLUGIN.format(key="PLUGIN_A", name="PluginALoss"))
    (folder / "config.yml").write_text("PLUGINS: [plugin_a]\nMODEL: {LOSSES: {PLUGIN_A: {SCALE: 3.0}}}")
    cfg = all_keys()
    merge_config(cfg, "config.yml", [])
    assert cfg.MODEL.LOSSES.PLUGIN_A.SCALE == 3.0
    assert "PluginALoss" in LOSS_REGISTRY
    merge_config(cfg, "config.yml", ["PLUGINS", "['plugin_a']"])  # imported once, extended once
    assert len(importlib.import_module("plugin_a").calls) == 1


def test_a_plugin_of_the_command_line_comes_first_wherever_it_stands(folder):
    (folder / "plugin_b.py").write_text(PLUGIN.format(key="PLUGIN_B", name="PluginBLoss"))
    cfg = all_keys()
    merge_config(cfg, "", ["MODEL.LOSSES.PLUGIN_B.SCALE", "4.0", "PLUGINS", "['plugin_b']"])
    assert cfg.MODEL.LOSSES.PLUGIN_B.SCALE == 4.0


def test_plugins_of_file_and_command_line_add_up(folder):
    for letter in "DE":
        (folder / f"plugin_{letter}.py").write_text(
            PLUGIN.format(key=f"PLUGIN_{letter}", name=f"Plugin{letter}Loss")
        )
    (folder / "config.yml").write_text("PLUGINS: [plugin_D]\nMODEL: {LOSSES: {PLUGIN_D: {SCALE: 3.0}}}")
    cfg = all_keys()
    merge_config(cfg, "config.yml", ["PLUGINS", "['plugin_E']"])
    assert cfg.PLUGINS == ("plugin_D", "plugin_E")
    assert (cfg.MODEL.LOSSES.PLUGIN_D.SCALE, cfg.MODEL.LOSSES.PLUGIN_E.SCALE) == (3.0, 2.0)


@pytest.mark.parametrize(
    ("plugins", "message"),
    [
        ("[plugin_absent]", "PLUGINS names 'plugin_absent', which cannot be imported .*No module named"),
        ("[plugin_broken]", "PLUGINS names 'plugin_broken'.*ZeroDivisionError"),
        ("plugin_broken", "PLUGINS is 'plugin_broken'; expected a list of module names"),
        ("[3]", r"PLUGINS is \[3\]; expected a list"),
    ],
)
def test_a_plugin_that_cannot_be_imported_is_named(folder, plugins, message):
    (folder / "plugin_broken.py").write_text("1 / 0")
    (folder / "config.yml").write_text(f"PLUGINS: {plugins}")
    with pytest.raises(ConfigError, match=message):
        merge_config(all_keys(), "config.yml", [])


def test_a_key_that_no_plugin_adds_is_refused(folder):
    (folder / "config.yml").write_text("MODEL: {LOSSES: {PLUGIN_C: {SCALE: 3.0}}}")
    with pytest.raises(ConfigError, match="unknown config key MODEL.LOSSES.PLUGIN_C"):
        merge_config(all_keys(), "config.yml", [])


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("raise SystemExit(3)", r"PLUGINS names 'leaves', which cannot be imported \(SystemExit: 3\)"),
        (
            "def add_config(cfg):\n    cfg.NOTHING.KEY = 1",
            r"add_config\(cfg\) fails \(AttributeError: NOTHING",
        ),
        ("def add_config(cfg):\n    raise SystemExit", r"whose add_config\(cfg\) fails \(SystemExit: \)"),
        ("def add_config():\n    pass", r"whose add_config\(cfg\) fails \(TypeError: "),
    ],
)
def test_a_plugin_that_exits_or_whose_add_config_fails_is_named(tmp_path, monkeypatch, source, message):
    (tmp_path / "leaves.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "leaves", raising=False)
    with pytest.raises(ConfigError, match=message):
        merge_config(all_keys(), "", ["PLUGINS", '["leaves"]'])
    sys.modules.pop("leaves", None)
