"""Whatever ends a training, and wherever: --resume ends with the weights of a run that nothing ended."""

import errno
import multiprocessing
import os
import random
import resource
import shutil
import signal
import socket
import time
from argparse import Namespace
from pathlib import Path

import pytest
import torch

from configs import PROJECTS, TINY, tiny_config
from training import SHORT, train, trainer_of
from vireid.engine import setup
from vireid.engine.checkpoints.resume import Place, checkpoints_of_run, restore_generators
from vireid.engine.checkpoints.run_lock import lock_folder, unlock_folder
from vireid.engine.interruptions import Interrupted
from vireid.engine.step import OptimizationStep
from vireid.errors import CheckpointError, ConfigError, MachineError
from vireid.files import _PatientFile

TESTS = Path(__file__).parents[2]
PMCM = "PMCM/configs/sysu.yml"  # whose masks are drawn from the generators
STEPS, EPOCHS = 3, 2
OPTIONS = {
    "SOLVER__MAX_EPOCH": EPOCHS,
    "SOLVER__OPT": "Adam",
    "SOLVER__CHECKPOINT_MINUTES": 1e-9,  # after every step
    "DATALOADER__MAX_BATCHES_PER_EPOCH": STEPS,
    "TEST__EVAL_PERIOD": -1,
}


class Events:
    """Counts the steps that begin and the writes to checkpoints, and calls ``act`` at one of them."""

    def __init__(self, patch, moment=-1, act=None):
        self.seen = []
        self.moment, self.act = moment, act
        for kind, owner, name in (("step", OptimizationStep, "__call__"), ("write", _PatientFile, "write")):
            patch.setattr(owner, name, self.counting(kind, getattr(owner, name)))

    def counting(self, kind, function):
        def counted(*arguments, **keywords):
            self.seen.append(kind)
            if len(self.seen) - 1 == self.moment:
                self.act()
            return function(*arguments, **keywords)

        return counted


def weights_of(run):
    return run.trainer.model.state_dict()


def assert_equal_weights(found, expected):
    assert found.keys() == expected.keys()
    assert [name for name, value in found.items() if not torch.equal(value, expected[name])] == []


@pytest.fixture(scope="module")
def whole(generated_root, tmp_path_factory):
    """The run that nothing ends, and its events."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FASTREID_DATASETS", str(generated_root))
        events = Events(patch)
        run = train(tmp_path_factory.mktemp("whole") / "run", PMCM, **OPTIONS)
    return run, events.seen


KILLED = """
import os, signal, sys
import pytest, torch
from test_resume import OPTIONS, PMCM, Events
from training import train
torch.set_num_threads(1)
with pytest.MonkeyPatch.context() as patch:
    Events(patch, int(sys.argv[2]), lambda: os.kill(os.getpid(), signal.SIGKILL))
    train(sys.argv[1], PMCM, **OPTIONS)
"""


@pytest.mark.parametrize("draw", range(3))
def test_a_run_killed_at_a_random_moment_ends_as_the_whole_one(whole, datasets, python, tmp_path, draw):
    run, seen = whole
    kind = ("step", "write", "write")[draw]
    places = [place for place, name in enumerate(seen) if name == kind]
    moment = random.Random(draw).choice(places[len(places) // 6 :])
    path = [*map(str, sorted(TESTS.parent.glob("projects/*"))), str(TESTS), str(Path(__file__).parent)]
    killed = python(KILLED, str(tmp_path / "run"), str(moment), path=path)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    resumed = train(tmp_path / "run", PMCM, resume=True, **OPTIONS)
    done = [name for name in seen[:moment] if name == "step"]
    assert resumed.trainer.start > (0, 0)
    assert resumed.trainer.start_iter in (len(done) - 1, len(done))
    assert_equal_weights(weights_of(resumed), weights_of(run))
    assert not list((tmp_path / "run").glob(".*.tmp"))


@pytest.fixture
def at_step(monkeypatch):
    """A function that has ``act`` called at the beginning of a step, counted from 0."""

    def install(step, act):
        steps = iter(range(10**6))
        call = OptimizationStep.__call__

        def acting(self, *arguments):
            if next(steps) == step:
                act()
            return call(self, *arguments)

        monkeypatch.setattr(OptimizationStep, "__call__", acting)

    return install


@pytest.mark.parametrize(("number", "step", "workers"), [(signal.SIGTERM, 1, 0), (signal.SIGINT, 5, 2)])
def test_a_signal_saves_after_its_step(whole, datasets, tmp_path, at_step, number, step, workers):
    options = {**OPTIONS, "SOLVER__CHECKPOINT_MINUTES": 0.0, "DATALOADER__NUM_WORKERS": workers}
    at_step(step, lambda: os.kill(os.getpid(), number))
    before = signal.getsignal(signal.SIGINT)  # ignored, where the tests run in the background
    with pytest.raises(Interrupted) as stopped:
        train(tmp_path, PMCM, **options)
    epoch, within = divmod(step, STEPS)
    assert str(stopped.value) == (
        f"stopped by {signal.Signals(number).name} after {within + 1} of the 3 iterations of epoch {epoch}; "
        "the same command with --resume goes on from there"
    )
    assert stopped.value.exit_status == 128 + number
    assert signal.getsignal(signal.SIGINT) is before
    resumed = train(tmp_path, PMCM, resume=True, **options)
    assert resumed.trainer.start == (epoch, within + 1)
    assert_equal_weights(weights_of(resumed), weights_of(whole[0]))
    assert not (tmp_path / "model_within_epoch.pth").exists()


def test_a_signal_stops_an_evaluation_which_is_repeated(whole, datasets, tmp_path, monkeypatch):
    options = {**OPTIONS, "TEST__EVAL_PERIOD": 0, "DATASETS__TRIALS": 1}
    with monkeypatch.context() as patch:
        patch.setattr(
            "vireid.engine.evaluation.evaluate_dataset",
            lambda *arguments, **keywords: os.kill(os.getpid(), signal.SIGTERM),
        )
        with pytest.raises(Interrupted, match="stopped by SIGTERM"):
            train(tmp_path, PMCM, **options)
    resumed = train(tmp_path, PMCM, resume=True, **options)
    assert resumed.trainer.start == (EPOCHS - 1, STEPS)
    assert resumed.results["SYSUMM01"]
    assert_equal_weights(weights_of(resumed), weights_of(whole[0]))


def test_accumulated_and_averaged_runs_go_on_as_well(datasets, tmp_path, at_step):
    """A signal in the middle of an update is heeded after it; what is evaluated and stored is the average."""
    options = {**OPTIONS, "SOLVER__ACCUMULATE": 2, "SOLVER__EMA__ENABLED": True, "SOLVER__EMA__DECAY": 0.5}
    expected = train(tmp_path / "whole", PMCM, **options).trainer.checkpointer
    at_step(3, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(Interrupted, match="after 2 of the 3 iterations of epoch 1"):
        train(tmp_path / "run", PMCM, **options)
    resumed = train(tmp_path / "run", PMCM, resume=True, **options).trainer
    for model, other in zip(resumed.checkpointer.models, expected.models, strict=True):
        assert_equal_weights(model.state_dict(), other.state_dict())
    stored = torch.load(tmp_path / "run/model_final.pth", weights_only=True)
    assert_equal_weights(stored["model"], resumed.evaluated.state_dict())
    assert_equal_weights(stored["training_model"], resumed.model.state_dict())
    assert stored["averaged_updates"] == 4
    assert not torch.equal(stored["model"]["heads.weight"], stored["training_model"]["heads.weight"])
    weights = str(tmp_path / "run/model_final.pth")
    started = trainer_of(tmp_path / "next", PMCM, MODEL__WEIGHTS=weights)
    started.resume_or_load(resume=False)
    assert_equal_weights(started.model.state_dict(), stored["model"])


def test_frozen_layers_are_set_free_at_the_same_iteration(datasets, tmp_path, at_step):
    options = {**OPTIONS, "MODEL__FREEZE_LAYERS": ["backbone"], "SOLVER__FREEZE_ITERS": 4}
    expected = train(tmp_path / "whole", PMCM, **options)
    at_step(2, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(Interrupted):
        train(tmp_path / "run", PMCM, **options)
    resumed = train(tmp_path / "run", PMCM, resume=True, **options)
    assert resumed.trainer.start == (0, 3)
    assert resumed.unmoved == []
    assert_equal_weights(weights_of(resumed), weights_of(expected))


def test_frozen_norms_and_weights_are_set_free_by_the_same_update(datasets, tmp_path, monkeypatch):
    """Three batches an epoch, two an update: the second update is that of the third batch alone."""
    options = {"MODEL__FREEZE_LAYERS": ["backbone", "heads"], "SOLVER__FREEZE_ITERS": 2}
    moved = []
    original = OptimizationStep.__call__

    def compared(step, batch, group):
        before = {name: value.clone() for name, value in step.inner.state_dict().items()}
        original(step, batch, group)
        after = step.inner.state_dict()
        changed = {name for name, value in before.items() if not torch.equal(value, after[name])}
        moved.append(("backbone.layer1.0.bn1.running_mean" in changed, "heads.weight" in changed))

    monkeypatch.setattr(OptimizationStep, "__call__", compared)
    train(tmp_path, PMCM, **OPTIONS, **options, SOLVER__ACCUMULATE=2)
    assert moved == [*[(False, False)] * 3, (True, False), (True, True), (True, True)]


SECOND_SIGNAL = """
import os, signal
from vireid.engine.interruptions import StopSignals
with StopSignals() as signals:
    os.kill(os.getpid(), signal.SIGTERM)
    print(signals.name, flush=True)
    os.kill(os.getpid(), signal.SIGTERM)
    print("not reached", flush=True)
"""


def test_a_second_signal_ends_at_once(python):
    ended = python(SECOND_SIGNAL)
    assert (ended.returncode, ended.stdout) == (-signal.SIGTERM, "SIGTERM\n"), ended.stderr


LAUNCHER_KILLED = """
import os, signal, time
from vireid.engine.interruptions import StopSignals, end_with_launcher
os.environ["LOCAL_RANK"] = "0"
reading, writing = os.pipe()
if os.fork() == 0:  # the launcher
    if os.fork() == 0:  # its process
        with StopSignals() as signals, end_with_launcher(seconds=1.0):
            os.write(writing, b"ready ")
            while not signals.received:
                time.sleep(0.01)
            os.write(writing, signals.name.encode())
            while True:  # as one that waits for the others of its group
                time.sleep(0.01)
    time.sleep(60)
os.close(writing)
ready = os.read(reading, 6)
children = open(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read().split()
os.kill(int(children[0]), signal.SIGKILL)
found = b""
while part := os.read(reading, 100):  # until the last process has ended
    found += part
print(found.decode())
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the launcher by /proc")
def test_a_process_whose_launcher_was_killed_saves_and_ends(python):
    ended = python(LAUNCHER_KILLED)
    assert (ended.returncode, ended.stdout) == (0, "SIGTERM\n"), ended.stderr


LOCK_HOLDER = """
import os, signal, sys, time
from vireid.engine.checkpoints.run_lock import lock_folder
lock_folder(sys.argv[1])
if os.fork() == 0:
    time.sleep(5)  # a data worker, which outlives the process for a while
    os._exit(0)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_lock_ends_with_its_process_and_names_it(python, tmp_path):
    killed = python(LOCK_HOLDER, str(tmp_path))
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    lock_folder(tmp_path)
    refused = python(
        "import sys; from vireid.engine.checkpoints.run_lock import lock_folder; lock_folder(sys.argv[1])",
        str(tmp_path),
    )
    line = refused.stderr.strip().splitlines()[-1]
    assert f"in use by another run (process {os.getpid()} on {socket.gethostname()})" in line
    unlock_folder(tmp_path)


@pytest.fixture
def short(whole, tmp_path):
    """The folder of a run of OPTIONS, its last epoch and what was within it gone, to be changed."""
    folder = shutil.copytree(whole[0].folder, tmp_path / "run")
    (folder / "model_final.pth").unlink()
    return folder


def test_the_newest_checkpoint_is_found_whatever_its_kind(short):
    whole_epoch = short / "model_0000.pth"
    content = torch.load(whole_epoch, weights_only=True)
    for name, about in {
        "model_within_epoch": {"epoch": 1, "step": 2},
        "model_best": {"epoch": 0},
        "model_0007": {"epoch": 7},
    }.items():
        torch.save({**content, **about}, short / f"{name}.pth")
    found = checkpoints_of_run(short)
    names = ["model_0007", "model_within_epoch", "model_0000", "model_best"]
    assert [path.stem for _, path in found] == names
    assert [place for place, _ in found] == [Place(8), Place(1, 2), Place(1), Place(1)]


def test_a_run_that_has_model_best_alone_goes_on(whole, datasets, short):
    (short / "model_0000.pth").rename(short / "model_best.pth")
    (short / "last_checkpoint").unlink()
    resumed = train(short, PMCM, resume=True, **OPTIONS)
    assert resumed.trainer.start == (1, 0)
    assert_equal_weights(weights_of(resumed), weights_of(whole[0]))


def test_a_damaged_checkpoint_is_passed_over_in_one_line(whole, datasets, short, said):
    data = bytearray((short / "model_0000.pth").read_bytes())
    data[len(data) // 2] ^= 1
    (short / "model_0001.pth").write_bytes(data)
    (short / "model_0002.pth").write_bytes(b"half")
    (short / "last_checkpoint").write_bytes(b"\xff\xfe")
    resumed = train(short, PMCM, resume=True, **OPTIONS)
    assert resumed.trainer.start == (1, 0)
    assert said == [
        f"{short / 'model_0002.pth'} cannot be resumed from: it is damaged, or records no epoch",
        f"{short / 'model_0001.pth'} is damaged: its content is not what was saved (its digest differs); "
        "looking for an older one",
    ]
    assert_equal_weights(weights_of(resumed), weights_of(whole[0]))


def test_a_folder_of_damaged_checkpoints_is_refused(datasets, short):
    (short / "model_0000.pth").write_bytes(b"half")
    with pytest.raises(CheckpointError, match="none of model_0000.pth in .* can be resumed from"):
        train(short, PMCM, resume=True, **OPTIONS)


@pytest.fixture
def said(monkeypatch):
    """The lines that resuming logs."""
    lines = []
    for level in ("info", "warning"):
        monkeypatch.setattr(f"vireid.engine.checkpoints.resume.logger.{level}", lines.append)
    return lines


def test_a_changed_config_is_said_or_refused(datasets, short, said):
    allowed = {**OPTIONS, "SOLVER__BASE_LR": 0.125, "DATASETS__TRIALS": 7}
    refused = {**allowed, "SEED": 5, "SOLVER__IMS_PER_BATCH": 12}
    message = (
        r"model_0000.pth is of another experiment: SOLVER.IMS_PER_BATCH 8 -> 12; SEED 0 -> 5\. Set them back"
    )
    trainer = trainer_of(short, PMCM, **refused)
    with pytest.raises(ConfigError, match=message):
        trainer.resume_or_load(resume=True)
    assert said == []
    trainer.resume_or_load(resume=True, force=True)
    changes = "DATASETS.TRIALS 2 -> 7; SOLVER.BASE_LR 0.01 -> 0.125"
    assert said == [f"Resuming with a changed config: SOLVER.IMS_PER_BATCH 8 -> 12; SEED 0 -> 5; {changes}"]
    trainer_of(short, PMCM, **allowed).resume_or_load(resume=True)
    assert said[1:] == [f"Resuming with a changed config: {changes}"]
    trainer_of(short, PMCM, **OPTIONS).resume_or_load(resume=True)
    assert said[2:] == []


def test_a_run_whose_seed_was_drawn_keeps_it(datasets, short):
    arguments = Namespace(config_file="", eval_only=False, resume=True)
    cfg = tiny_config(PMCM, SEED=-1, OUTPUT_DIR=str(short))
    assert setup(cfg.clone(), arguments).SEED == 0
    arguments.resume = False
    assert setup(cfg.clone(), arguments).SEED > 0


def test_another_training_set_is_refused(datasets, short):
    content = torch.load(short / "model_0000.pth", weights_only=True)
    torch.save({**content, "num_images": 3, "digest": None}, short / "model_0000.pth")
    trainer = trainer_of(short, PMCM, **OPTIONS)
    images = len(trainer.data_loader.dataset)
    with pytest.raises(ConfigError, match=f"num_images of the training set 3 -> {images}"):
        trainer.resume_or_load(resume=True)


def test_generators_of_another_number_of_processes_are_left_out(said):
    restore_generators([{}, {}])
    assert said == [
        "the checkpoint is of 2 processes: the draws of patch masks and dropout in the rest of this epoch "
        "are others"
    ]


def test_a_folder_that_vanishes_is_one_line(datasets, tmp_path, at_step):
    at_step(2, lambda: shutil.rmtree(tmp_path / "run"))
    with pytest.raises(
        MachineError, match=r"model_within_epoch.pth cannot be written: No such file"
    ) as error:
        train(tmp_path / "run", PMCM, **OPTIONS)
    assert error.value.exit_status == 1


def test_a_killed_worker_is_one_line_and_the_run_goes_on(whole, datasets, tmp_path, at_step):
    def kill_a_worker():
        os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)
        time.sleep(60)  # PyTorch raises at the signal that a child has ended

    at_step(4, kill_a_worker)
    options = {**OPTIONS, "DATALOADER__NUM_WORKERS": 1}
    with pytest.raises(
        MachineError, match=r"DataLoader worker .*\. Out of memory\? Lower .*--resume goes on"
    ):
        train(tmp_path, PMCM, **options)
    resumed = train(tmp_path, PMCM, resume=True, **options)
    assert resumed.trainer.start == (1, 1)
    assert_equal_weights(weights_of(resumed), weights_of(whole[0]))


def test_a_worker_that_can_open_no_file_is_one_line(datasets, tmp_path, at_step, capfd):
    """It would print a traceback, send nothing more, and be waited for without end."""

    def limit_the_worker():
        worker = multiprocessing.active_children()[0].pid
        resource.prlimit(worker, resource.RLIMIT_NOFILE, (3, 3))

    at_step(1, limit_the_worker)
    options = {**OPTIONS, "DATALOADER__NUM_WORKERS": 1, "DATALOADER__MAX_BATCHES_PER_EPOCH": 6}
    with pytest.raises(MachineError, match=r"DataLoader worker .* exited unexpectedly.*Raise ulimit -n"):
        train(tmp_path, PMCM, **options)
    assert "Traceback" not in capfd.readouterr().err


def test_a_full_disk_ends_a_training_with_one_line_and_status_1(
    command, datasets, tmp_path, monkeypatch, whole
):
    """From the fourth checkpoint on, which is that of the first epoch, there is no room."""
    saved = iter(range(100))
    fsync = os.fsync

    def full(descriptor):
        if next(saved) >= 6:  # each checkpoint, and the name of the newest
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    settings = {**TINY, **{key.replace("__", "."): value for key, value in {**SHORT, **OPTIONS}.items()}}
    settings["OUTPUT_DIR"] = str(tmp_path / "run")
    pairs = [str(item) for pair in settings.items() for item in pair]
    words = ["train", "--config-file", PROJECTS / PMCM]
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        status, _, error = command(*words, *pairs)
    (line,) = error.strip().splitlines()
    assert status == 1
    assert "model_0000.pth cannot be written: No space left on device; once that is mended" in line
    assert not list((tmp_path / "run").glob(".*.tmp"))
    status, _, error = command(*words, "--resume", *pairs)
    assert status == 0
    found = torch.load(tmp_path / "run/model_final.pth", weights_only=True)["model"]
    assert_equal_weights(found, weights_of(whole[0]))
