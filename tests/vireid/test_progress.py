"""When a bar is drawn, and what it counts."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from vireid.engine import rerankers
from vireid.engine.rerankers import with_progress
from vireid.evaluation.protocols import Setting, Trial
from vireid.progress import progress_bar, show_progress


@pytest.mark.parametrize(
    ("rank", "terminal", "shown"),
    [(None, True, True), ("0", True, True), ("1", True, False), (None, False, False)],
)
def test_the_first_process_draws_on_a_terminal_alone(monkeypatch, capsys, rank, terminal, shown):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    if rank is None:
        monkeypatch.delenv("RANK", raising=False)
    else:
        monkeypatch.setenv("RANK", rank)
    assert show_progress() is shown
    assert list(progress_bar([1, 2], title="pages", unit="page")) == [1, 2]
    assert ("pages" in capsys.readouterr().err) is shown


def test_re_ranking_counts_the_trials_once(monkeypatch, capsys):
    """Verification rates ask for the distances again, after the bar has gone."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.delenv("RANK", raising=False)
    bars = []
    draw = rerankers.progress_bar
    monkeypatch.setattr(rerankers, "progress_bar", lambda **about: bars.append(draw(**about)) or bars[0])
    trials = tuple(Trial(np.array([0]), np.array([1])) for _ in range(3))
    setting = Setting("all", trials, unique_pids=False, direction="i2v")
    reranker = SimpleNamespace(label="MSER", bind=lambda features: lambda trial, setting: features["image"])
    features = {"image": torch.zeros(2, 4)}
    distance = with_progress(reranker, features, [setting])
    for trial in trials * 2:
        assert distance(trial, setting) is features["image"]
    assert (bars[0].n, bars[0].total) == (3, 3)
    assert "MSER re-ranking" in capsys.readouterr().err
