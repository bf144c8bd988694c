"""What `vireid page` makes where no gallery is named."""

import pytest

from vireid.commands import page_starter
from vireid.errors import ConfigError


def test_a_folder_of_other_files_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(page_starter, "_run", lambda starter, words: pytest.fail("nothing is to be made"))
    store = tmp_path / "store" / "gallery.sqlite"
    store.parent.mkdir()
    store.touch()
    with pytest.raises(ConfigError, match="holds files that vireid page has not made"):
        page_starter.prepare(tmp_path)
    assert store.is_file()


class Stopped(Exception):
    pass


def test_what_was_interrupted_goes_on(tmp_path, monkeypatch):
    def stop(starter, words):
        (starter.datasets / "partial").mkdir(parents=True)
        raise Stopped

    monkeypatch.setattr(page_starter, "_run", stop)
    for _ in range(2):
        with pytest.raises(Stopped):
            page_starter.prepare(tmp_path / "new")
