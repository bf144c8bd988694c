import pytest

from configs import tiny_config


@pytest.fixture
def config():
    """``tiny_config``, by default of MCJA on SYSU-MM01."""

    def build(file="MCJA/configs/sysu.yml", **overrides):
        return tiny_config(file, **overrides)

    return build
