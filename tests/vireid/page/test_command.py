"""What `vireid page` does before it serves: it listens, and makes a gallery where none is named."""

import socket

import pytest

import vireid.engine
from vireid import Embedder
from vireid.commands import page, page_starter
from vireid.commands.main import main
from vireid.engine import load_for_evaluation
from vireid.errors import CheckpointError, ConfigError
from vireid.export.formats import write_safetensors


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


def use_packed(monkeypatch, weights):
    """The model that comes with synthvi/starter, or None where none does."""
    monkeypatch.setattr(vireid.engine, "packed_weights", lambda config: weights)


def test_weights_come_with_a_config_that_has_them_beside_it(tmp_path):
    (tmp_path / "own.yml").write_text("SEED: 1")
    assert vireid.engine.packed_weights(str(tmp_path / "own.yml")) is None
    (tmp_path / "own.safetensors").touch()
    assert vireid.engine.packed_weights(str(tmp_path / "own.yml")) == tmp_path / "own.safetensors"
    assert vireid.engine.packed_weights("nowhere/own") is None


def test_without_a_packed_model_one_is_trained(tmp_path, monkeypatch, capsys):
    use_packed(monkeypatch, None)
    asked = []

    def run(starter, words):
        asked.append(words[:2])
        if words[0] == "train":
            raise Stopped
        (starter.datasets / "partial" / "exp").mkdir(parents=True)

    monkeypatch.setattr(page_starter, "_run", run)
    with pytest.raises(Stopped):
        page_starter.prepare(tmp_path / "new")
    assert asked == [("data", "make"), ("train", "--resume")]
    assert "No model comes with synthvi/starter: training one, for two or three" in capsys.readouterr().out


def test_with_a_packed_model_the_first_answer_needs_no_training(tmp_path, monkeypatch, capsys, caplog):
    """Of a network that nobody has trained; damaged, it is refused."""
    pytest.importorskip("lancedb")
    cfg = vireid.engine.full_config("synthvi/starter", ["MODEL.DEVICE", "cpu", "DATASETS.TESTS", "()"])
    packed = tmp_path / "starter.safetensors"
    write_safetensors(load_for_evaluation(cfg), packed, {})
    use_packed(monkeypatch, packed)
    monkeypatch.setattr(page_starter, "TEST_IDENTITIES", 12)
    monkeypatch.setattr(page_starter, "IMAGES", 1)
    starter, gallery = page_starter.prepare(tmp_path / "new")
    with gallery:
        assert len(gallery) == 4 * 12 and len(starter.examples) == 8 and starter.run is None
        assert gallery.info()["model"] == "starter.safetensors (knows generated persons only)"
        named = Embedder.from_config("synthvi/starter", device="cpu")  # without weights
        assert named.fingerprint == gallery.embedder.fingerprint
        answer = gallery.answer(starter.examples[0], 3)
        assert answer.threshold.asked == 0.1 and answer.query.modality == "infrared"
    assert "training" not in capsys.readouterr().out and "knows generated persons only" in caplog.text
    content = bytearray(packed.read_bytes())
    content[-9] ^= 1
    packed.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"starter.safetensors.*is not what was"):
        page_starter.prepare(tmp_path / "new")


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
