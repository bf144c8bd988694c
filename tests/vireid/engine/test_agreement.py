"""Processes that differ are refused before the first step; those that are late are waited for."""

import shutil

import pytest
import torch

from differing_processes import copy_of_data, download_each, train_each, wait
from processes import run_processes
from training import train

CHANGED = {
    "rate": ({"SOLVER__BASE_LR": 0.5}, "SOLVER.BASE_LR differs", "rank 1 on", ": 0.5; rank 0 on", ": 0.01)"),
    "seed": ({"SEED": 3}, "SEED differs", ": 3;", ": 0)"),
    "batch": ({"SOLVER__IMS_PER_BATCH": 8}, "SOLVER.IMS_PER_BATCH differs", ": 8;", ": 16)"),
    "cache": ({"DATALOADER__CACHE": "ram"}, "DATALOADER.CACHE differs", ": True;", ": False)"),
    "weights": ({"MODEL__WEIGHTS": "other.pth"}, "the file of MODEL.WEIGHTS differs"),
    "pretrained": ({"MODEL__BACKBONE__PRETRAIN_PATH": "other.pth"}, "file of MODEL.BACKBONE.PRETRAIN_PATH"),
}
LISTS = {
    "identity": "the training set SYSUMM01 differs between the processes (rank 1",
    "fewer": "the training set SYSUMM01 differs",
    "tests": "the test set SYSUMM01, all-search single-shot differs",
}


@pytest.fixture(scope="module")
def ends(generated_root, tmp_path_factory):
    """How the trainings of each case ended, on both processes."""
    folder = tmp_path_factory.mktemp("differing")
    cases = {name: ("", [], dict(settings)) for name, (settings, *_) in CHANGED.items()}
    for rank in (0, 1):
        (folder / f"plugins_{rank}").mkdir()
        (folder / f"plugins_{rank}/odd_plugin.py").write_text(f"NUMBER = {rank}\n")
    cases["code"] = ("", [], {"PLUGINS": ["odd_plugin"]})
    data = {name: copy_of_data(generated_root, folder / f"data_{name}") / "SYSU-MM01" for name in LISTS}
    trained, tested = ((data["fewer"] / f"exp/{name}_id.txt").read_text() for name in ("train", "test"))
    one, other = (f"{int(pid):04d}" for pid in trained.split(",")[:2])
    shutil.move(data["identity"] / f"cam1/{one}/0001.jpg", data["identity"] / f"cam1/{other}/0099.jpg")
    (data["fewer"] / f"cam6/{one}/0001.jpg").unlink()
    (data["tests"] / f"cam6/{int(tested.split(',')[0]):04d}/0001.jpg").unlink()
    cases |= {name: (str(place.parent), [], {}) for name, place in data.items()}
    cases["resumed"] = ("", ["--resume"], {"SEED": -1})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FASTREID_DATASETS", str(generated_root))
        options = {"TEST__EVAL_PERIOD": -1, "DATALOADER__MAX_BATCHES_PER_EPOCH": 1}
        alone = train(folder / "alone", "PMCM/configs/sysu.yml", **options).folder
        shutil.copytree(alone, folder / "resumed/0")
        for name, (settings, *_) in CHANGED.items():
            for key, value in settings.items():
                own = cases[name][2]
                own[f"{key}_1"] = own.pop(key)
                if value == "other.pth":
                    shutil.copy(alone / "model_final.pth", folder / f"own_{name}.pth")
                    content = torch.load(alone / "model_final.pth", weights_only=True)
                    torch.save({**content, "seed": 7}, folder / f"other_{name}.pth")
                    own |= {key: folder / f"own_{name}.pth", f"{key}_1": folder / f"other_{name}.pth"}
                    own |= {"MODEL__BACKBONE__PRETRAIN": True} if name == "pretrained" else {}
        run_processes(train_each, 2, folder, cases)
    return [torch.load(folder / f"{rank}.pth", weights_only=True) for rank in range(2)]


def line_of(ends, case):
    """The one line that the first process says; the second ends as well, and says nothing."""
    first, second = ([line for line in end[case][1] if "error" in line.lower()] for end in ends)
    assert ([end[case][0] for end in ends], len(first), second) == ([2, 2], 1, [])
    return first[0]


@pytest.mark.parametrize("case", CHANGED)
def test_a_setting_that_differs_is_named_with_both_values(ends, case):
    line = line_of(ends, case)
    assert all(part in line for part in CHANGED[case][1:]), line


def test_code_that_differs_is_named(ends):
    assert line_of(ends, "code").startswith("error: the code differs between the processes (rank 1 on ")


@pytest.mark.parametrize("case", LISTS)
def test_images_and_labels_that_differ_are_named(ends, case):
    assert LISTS[case] in line_of(ends, case)


def test_a_run_of_a_drawn_seed_that_only_one_machine_has_does_not_hang(ends):
    line = line_of(ends, "resumed")
    assert "the seed of the run in OUTPUT_DIR" in line and ": None; rank 0 on" in line


def test_a_late_process_is_waited_for_and_a_lost_one_is_not(tmp_path):
    run_processes(wait, 2, tmp_path)
    (told, lost), (second, _) = (torch.load(tmp_path / f"{rank}.pth", weights_only=True) for rank in range(2))
    assert told == second == [10, 11]
    assert lost == "process 1 of the run has not been heard of for 1 seconds: it, or its machine, is lost"


def test_each_machine_downloads_for_itself_and_all_end_where_one_cannot(tmp_path):
    run_processes(download_each, 2, tmp_path)
    fetched, errors = zip(*(torch.load(tmp_path / f"{rank}.pth", weights_only=True) for rank in range(2)))
    machines = [tmp_path / f"machine_{rank}/checkpoints/resnet18-5c106cde.pth" for rank in range(2)]
    assert fetched == tuple([str(path)] * 2 for path in machines)
    assert all(
        "weights of build_resnet_backbone (<urlopen error no network> on " in error for error in errors
    )
