"""What `vireid page` does before it serves: it listens, and makes a gallery where none is named."""

import socket

import pytest

from vireid.commands import page, page_starter
from vireid.commands.main import main
from vireid.errors import ConfigError


@pytest.mark.parametrize(
    "arguments, line",
    [
        ("--allow-host page.example:80", "argument --allow-host: 'page.example:80' is no host, such as"),
        ("--allow-host http://page.example", "argument --allow-host: 'http://page.example' is no host"),
        ("--port -1", "argument --port: '-1' is no whole number of 0 or more"),
        ("--max-megabytes 0", "argument --max-megabytes: '0' is no whole number of 1 or more"),
        ("--max-megapixels x", "argument --max-megapixels: 'x' is no whole number of 1 or more"),
    ],
)
def test_a_wrong_argument_is_named(capsys, arguments, line):
    with pytest.raises(SystemExit):
        main(["page", *arguments.split()])
    assert line in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments, reason",
    [("", "Address already in use"), ("--host no.invalid", ""), ("--port 99999", "0-65535")],
)
def test_a_page_that_cannot_listen_makes_nothing(tmp_path, monkeypatch, capsys, arguments, reason):
    pytest.importorskip("gradio", reason="the page needs gradio (extra page)")
    monkeypatch.setattr(page, "prepare", lambda folder: pytest.fail("nothing is to be made"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = ["--port", str(taken.getsockname()[1])]
        assert main(["page", "--folder", str(tmp_path), *port, *arguments.split()]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: the page cannot listen at ") and error.count("\n") == 1
    assert reason in error and error.endswith("; choose another\n")


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
