import pytest

import vireid  # before fastreid: it makes the toolkit's import work


@pytest.fixture
def cfg(tmp_path, monkeypatch):
    """The default config; datasets are looked for in tmp_path."""
    from fastreid.config import get_cfg

    monkeypatch.setenv("FASTREID_DATASETS", str(tmp_path))
    config = get_cfg()
    vireid.add_vireid_config(config)
    return config
