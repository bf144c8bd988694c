"""``vireid data check``: what it prints, and its exit status."""

import shutil

import pytest


@pytest.fixture
def check(command, monkeypatch):
    """The command: (exit status, lines printed, its error)."""
    monkeypatch.delenv("FASTREID_DATASETS", raising=False)

    def run(*arguments):
        status, printed, error = command("data", "check", *arguments)
        return status, printed.splitlines(), error

    return run


def cells(line):
    return [cell.strip() for cell in line.split("|")[1:-1]]


def test_a_dataset_without_faults(check, generated_root):
    status, printed, _ = check("--dataset", "RegDB", "--root", generated_root)
    assert status == 0
    assert cells(printed[0]) == [
        *("subset", "modality", "camera", "images", "identities"),
        *("published images", "published identities"),
    ]
    assert [cells(line) for line in printed[2:9]] == [
        ["train", "visible", "1", "18", "6", "2060", "206"],
        ["train", "infrared", "2", "18", "6", "2060", "206"],
        ["train", "both", "all", "36", "6", "4120", "206"],
        ["test", "visible", "1", "18", "6", "2060", "206"],
        ["test", "infrared", "2", "18", "6", "2060", "206"],
        ["test", "both", "all", "36", "6", "4120", "206"],
        ["both", "both", "all", "72", "12", "8240", "412"],
    ]
    assert printed[9].startswith("note: not the published RegDB, which has 206 identities for training")
    assert printed[-1] == "no faults"


def test_faults_of_a_kind_are_cut_short(check, generated_root, tmp_path):
    shutil.copytree(generated_root / "SYSU-MM01", tmp_path / "SYSU-MM01")
    for path in (tmp_path / "SYSU-MM01" / "cam3").glob("*/0001.jpg"):
        path.write_bytes(b"")
    status, printed, _ = check("--dataset", "SYSUMM01", "--root", tmp_path)
    faults = [line for line in printed if line.startswith("fault: ")]
    assert status == 1
    assert faults[0].endswith("cam3/0001/0001.jpg: the image cannot be read (it is empty); replace it")
    assert faults[5:] == ["fault: ... and 7 more like the last (--all shows them)"]
    assert printed[-1] == "12 faults"
    _, printed, _ = check("--dataset", "SYSUMM01", "--root", tmp_path, "--all")
    assert sum(line.startswith("fault: ") for line in printed) == 12


def test_rows_of_splits_that_differ_name_them(check, generated_root, tmp_path):
    shutil.copytree(generated_root / "RegDB", tmp_path / "RegDB")
    (tmp_path / "RegDB/idx/train_thermal_4.txt").write_text("")
    status, printed, _ = check("--dataset", "RegDB", "--root", tmp_path)
    rows = [cells(line)[:5] for line in printed if line.startswith("| train")]
    assert status == 1
    assert rows[1:3] == [
        ["train (split 1, split 2, split 3, ...)", "infrared", "2", "18", "6"],
        ["train (split 4)", "infrared", "2", "0", "0"],
    ]


def test_what_cannot_be_checked_is_an_error(check, generated_root, tmp_path):
    status, _, error = check("--dataset", "RegDB", "--root", tmp_path)
    assert status == 2 and "RegDB: no such folder" in error
    status, _, error = check("--dataset", "RegBD", "--root", tmp_path)
    assert status == 2 and "did you mean RegDB?" in error
    status, _, error = check("--dataset", "NightWatch", "--plugin", "night_watch.none", "--root", tmp_path)
    assert status == 2 and "cannot be imported" in error


def test_the_help_has_examples(check, capsys):
    with pytest.raises(SystemExit):
        check("--help")
    assert "vireid data check --dataset SYSUMM01 --root /data" in capsys.readouterr().out
