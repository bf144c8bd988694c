"""Recipes of the toolkit's own, small, on generated visible persons in Market-1501's layout."""

import pytest
from fastreid.config import get_cfg

from generated_data import make
from toolkit_recipes import SMALL


@pytest.fixture(scope="session")
def market_root(tmp_path_factory):
    """A folder of datasets with Market-1501, 12 identities."""
    root = tmp_path_factory.mktemp("market")
    make("market", root / "Market-1501-v15.09.15", identities=12, images=2, test_identities=4)
    return root


@pytest.fixture
def market(market_root, monkeypatch):
    """FASTREID_DATASETS set to it; the toolkit reads the variable when it is imported."""
    monkeypatch.setenv("FASTREID_DATASETS", str(market_root))
    monkeypatch.setattr("fastreid.data.build._root", str(market_root))


@pytest.fixture
def recipe(market, tmp_path):
    """A function that gives the config of a YAML file, small, with overrides; ``__`` stands for a dot."""

    def configured(file="", keys=lambda cfg: None, **overrides):
        cfg = get_cfg()
        keys(cfg)
        if file:
            cfg.merge_from_file(str(file))
        settings = {**SMALL, "OUTPUT_DIR": str(tmp_path / "out")}
        settings |= {key.replace("__", "."): value for key, value in overrides.items()}
        cfg.merge_from_list([item for pair in settings.items() for item in pair])
        return cfg

    return configured
