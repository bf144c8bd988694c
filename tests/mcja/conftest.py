import pytest

from configs import PROJECTS, TINY, all_keys
from mcja import add_mcja_config
from vireid.engine import merge_config


@pytest.fixture
def config():
    """A function that gives a project's config at a tiny size, on the CPU; in an override's name ``__``
    stands for a dot."""

    def build(file="MCJA/configs/sysu.yml", **overrides):
        cfg = all_keys()
        add_mcja_config(cfg)
        merge_config(cfg, str(PROJECTS / file), [])
        settings = {**TINY, **{key.replace("__", "."): value for key, value in overrides.items()}}
        cfg.merge_from_list([item for pair in settings.items() for item in pair])
        return cfg

    return build
