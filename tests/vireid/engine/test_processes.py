"""Several processes compute what one process does on the joined batch."""

import pytest
import torch

from processes import AXES, RECIPES, run_processes, save_all, save_features, save_synchronized, save_trained

FEATURES = ("AGW", "PMCM", "MCJA", "CAJ", "DEEN")
CASES = [(recipe, torch.float32) for recipe in RECIPES]
CASES += [(recipe, torch.bfloat16) for recipe in FEATURES]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """What one, two and four processes computed."""
    folder = tmp_path_factory.mktemp("gradients")
    save_all(folder, CASES)
    for world_size in (2, 4):
        run_processes(save_all, world_size, folder, CASES)
    return folder


def differences(ours, expected):
    """Largest difference of each gradient, in units of the largest gradient of all."""
    assert {name for name, g in ours.items() if g is not None} == {
        name for name, g in expected.items() if g is not None
    }
    largest = max(g.abs().max() for g in expected.values() if g is not None)
    return {n: float((ours[n] - g).abs().max() / largest) for n, g in expected.items() if g is not None}


@pytest.mark.parametrize("world_size", [2, 4])
@pytest.mark.parametrize("recipe, dtype", CASES)
def test_gradients_are_those_of_one_process_on_the_joined_batch(saved, recipe, dtype, world_size):
    """In bfloat16 a layer's weight gradient is rounded in each process before the mean is taken, and so is
    every sum over its images: to 8 bits. The losses themselves are compared by the next test."""
    tolerance = 1e-5 if dtype == torch.float32 else 2e-2
    folder = saved / recipe / str(dtype)
    values, expected = torch.load(folder / "1_0.pth")
    every = [torch.load(folder / f"{world_size}_{rank}.pth") for rank in range(world_size)]
    assert len(values) >= 2
    for name, value in values.items():
        mean = sum(losses[name] for losses, _ in every) / world_size
        assert float(mean) == pytest.approx(float(value), rel=tolerance), name
    for _, ours in every:
        assert max(differences(ours, expected).values()) <= tolerance


@pytest.mark.parametrize("world_size", [2, 4])
@pytest.mark.parametrize("recipe", FEATURES)
def test_gradients_of_bfloat16_features_are_those_of_one_process(saved, recipe, world_size):
    folder = saved / recipe / "features"
    values, expected, (targets, modalities) = torch.load(folder / "1_0.pth")
    every = [torch.load(folder / f"{world_size}_{rank}.pth") for rank in range(world_size)]
    for name, value in values.items():
        mean = sum(losses[name] for losses, *_ in every) / world_size
        assert float(mean) == pytest.approx(float(value), rel=1e-5), name
    owner = targets * world_size // 8
    for rank, (_, ours, labels) in enumerate(every):
        mine = torch.nonzero(owner == rank).flatten()
        assert torch.equal(targets[mine], labels[0]) and torch.equal(modalities[mine], labels[1])
        shares = {name: g.index_select(AXES.get(name, 0), mine) for name, g in expected.items()}
        assert max(differences(ours, shares).values()) <= 1e-5


def test_training_goes_on_where_a_process_or_all_leave_parameters_out(tmp_path):
    """Stems whose modality a process lacks, a stem that nothing goes through, stripes without a loss."""
    recipes = ["AGW", "own stem without mixing, stripes without a loss"]
    save_trained(tmp_path, recipes)
    run_processes(save_trained, 2, tmp_path, recipes)
    for recipe in recipes:
        expected = torch.load(tmp_path / recipe / "1_0.pth")
        for rank in range(2):
            ours = torch.load(tmp_path / recipe / f"2_{rank}.pth")
            for name, value in expected.items():
                torch.testing.assert_close(ours[name], value, rtol=1e-5, atol=1e-6, msg=name)


def test_a_norm_over_all_processes_does_not_wait_for_one_without_images_of_its_modality(
    tmp_path, monkeypatch
):
    with monkeypatch.context() as patch:
        patch.setattr("torch.distributed.nn.functional.all_reduce", lambda total: total)
        save_synchronized(tmp_path)
    run_processes(save_synchronized, 2, tmp_path)
    _, expected = torch.load(tmp_path / "1_0.pth")
    for rank in range(2):
        _, ours = torch.load(tmp_path / f"2_{rank}.pth")
        assert max(differences(ours, expected).values()) <= 1e-4  # float32, of a difference of large sums


def test_embeddings_are_those_of_one_process_to_the_last_bit(datasets, tmp_path):
    """Also where two of three processes have no image, the first among them."""
    cases = [(3, 4), (7, 2)]
    save_features(tmp_path, cases)
    run_processes(save_features, 3, tmp_path, cases)
    for count, batch_size in cases:
        expected, ours = (torch.load(tmp_path / f"{count}_{batch_size}_{world}.pth") for world in (1, 3))
        assert ours.keys() == expected.keys()
        assert all(torch.equal(ours[view], expected[view]) and len(ours[view]) == count for view in expected)
