import os
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from plain_ranking import plain_sysu
from vireid.errors import ConfigError, DatasetError, UserError
from vireid.evaluation import METRICS, SYSUProtocol, evaluate_settings, sysu_settings

CHECKOUT = Path(__file__).resolve().parents[3]
PROTOCOL = Path(os.environ.get("VIREID_SYSU_PROTOCOL", CHECKOUT.parent / "shared" / "protocol"))
SETTINGS = [("all", 1), ("all", 10), ("indoor", 1), ("indoor", 10)]


def small_dataset(seed=0, identities=12, trials=4):
    """Test images in random order, and a generated permutation file; identities miss some cameras."""
    generator = np.random.default_rng(seed)
    rows, cells = [], np.empty((6, 1), dtype=object)
    for camera in range(1, 7):
        cells[camera - 1, 0] = np.empty((2 * identities, 1), dtype=object)
        for pid in range(1, 2 * identities + 1):
            count = int(generator.integers(1, 16))
            seen = pid % 2 == 0 and (pid + camera) % 7
            numbers = generator.choice(40, count, replace=False) + 1 if seen else np.zeros(0, dtype=int)
            rows += [(pid, camera, number) for number in numbers]
            permuted = [generator.permutation(numbers) for _ in range(trials)]
            cells[camera - 1, 0][pid - 1, 0] = np.array(permuted).astype(np.uint8)
    pids, camids, numbers = np.array(rows)[generator.permutation(len(rows))].T
    features = generator.standard_normal((len(rows), 8)) + generator.standard_normal((25, 8))[pids]
    return features.astype(np.float32), pids, camids, numbers, cells


def table(result):
    return np.array([[trial[name] for name in METRICS] for trial in result.trials])


@pytest.mark.parametrize(("search", "shots"), SETTINGS)
def test_published_reference(search, shots):
    """The authors' code on the real test set's shape, with the official permutations."""
    path = PROTOCOL / "rand_perm_cam.mat"
    if not path.exists():
        pytest.skip(f"{path} is absent; VIREID_SYSU_PROTOCOL names the folder of the official permutations")
    golden = np.load(CHECKOUT / "tests" / "golden" / "sysu_protocol.npz")
    result = SYSUProtocol(path, search=search, shots=shots).evaluate(
        golden["features"], golden["pids"], golden["camids"], golden["numbers"]
    )
    found = [result.mean[name] for name in METRICS]
    np.testing.assert_allclose(found, golden[f"expected_{search}_{shots}"], atol=0.02)


@pytest.mark.parametrize(("search", "shots"), SETTINGS)
@pytest.mark.parametrize("permuted", [True, False], ids=["permutations", "seed"])
def test_equals_a_plain_loop(search, shots, permuted):
    features, pids, camids, numbers, cells = small_dataset()
    cells = cells if permuted else None
    result = SYSUProtocol(cells, search=search, shots=shots, trials=4).evaluate(
        features, pids, camids, numbers
    )
    expected = plain_sysu(features, pids, camids, numbers, cells, search, shots, 4)
    np.testing.assert_allclose(table(result), expected, atol=1e-9)


def test_sizes_of_the_real_test_set():
    """3,803 queries, galleries of 301, 3,010, 112 and 1,120; drawn by seed, which needs no permutations."""
    golden = np.load(CHECKOUT / "tests" / "golden" / "sysu_protocol.npz")
    settings = sysu_settings(golden["pids"], golden["camids"], golden["numbers"], None, trials=2)
    sizes = {setting.name: len(setting.trials[1].gallery) for setting in settings}
    assert all(len(trial.query) == 3803 for setting in settings for trial in setting.trials)
    assert sizes == {
        "all-search single-shot": 301,
        "all-search multi-shot": 3010,
        "indoor-search single-shot": 112,
        "indoor-search multi-shot": 1120,
    }
    indoor = settings[2].trials[0]
    pids = golden["pids"]
    allowed = (pids[indoor.query][:, None] == pids[indoor.gallery][None, :]) & ~indoor.exclude()
    assert allowed.any(axis=1).sum() == 2208


def test_one_pass_over_all_settings_equals_one_at_a_time(tmp_path):
    features, pids, camids, numbers, cells = small_dataset()
    savemat(tmp_path / "rand_perm_cam.mat", {"rand_perm_cam": cells})
    settings = sysu_settings(pids, camids, numbers, tmp_path / "rand_perm_cam.mat", trials=4)
    together = evaluate_settings(features, pids, settings)
    for search, shots in SETTINGS:
        protocol = SYSUProtocol(str(tmp_path / "rand_perm_cam.mat"), search=search, shots=shots, trials=4)
        np.testing.assert_allclose(
            table(together[protocol.name]),
            table(protocol.evaluate(features, pids, camids, numbers)),
            atol=1e-9,
        )


def test_the_order_of_the_images_does_not_matter():
    """Not even with equal distances, which go by camera, identity and number."""
    features, pids, camids, numbers, cells = small_dataset()
    features = np.sign(features[:, :3])
    for rand_perm_cam in (cells, None):
        protocol = SYSUProtocol(rand_perm_cam, shots=10, trials=3)
        expected = protocol.evaluate(features, pids, camids, numbers)
        order = np.random.default_rng(5).permutation(len(pids))
        assert protocol.evaluate(features[order], pids[order], camids[order], numbers[order]) == expected


def test_a_query_of_camera_3_sees_nothing_of_camera_2():
    pids, camids, numbers = np.array([1, 1, 1, 2]), np.array([3, 2, 1, 1]), np.ones(4, dtype=int)
    features = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.9, 0.1]])
    result = SYSUProtocol(None, trials=1).evaluate(features, pids, camids, numbers)
    assert result.mean["Rank-1"] == 0
    assert result.mean["mAP"] == pytest.approx(50)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (np.zeros((6, 1)), r"is \(6, 1\) of float64; expected a 6x1 cell"),
        (np.empty((5, 1), dtype=object), r"is \(5, 1\) of object"),
        (np.full((6, 1), None, dtype=object), "camera 1: not an Nx1 cell"),
    ],
)
def test_malformed_permutations(cells, message):
    with pytest.raises(DatasetError, match=message):
        SYSUProtocol(cells)


def test_a_malformed_identity_is_named():
    *_, cells = small_dataset()
    cells[3, 0][4, 0] = np.array("text")
    with pytest.raises(DatasetError, match="camera 4, identity 5: not a matrix"):
        SYSUProtocol(cells)


def test_file_errors(tmp_path):
    with pytest.raises(DatasetError, match=r"absent\.mat does not exist"):
        SYSUProtocol(tmp_path / "absent.mat")
    (tmp_path / "text.mat").write_text("these are words, and not a MATLAB file of any version " * 9)
    with pytest.raises(DatasetError, match=r"text\.mat cannot be read"):
        SYSUProtocol(tmp_path / "text.mat")
    savemat(tmp_path / "other.mat", {"test_id": np.arange(3)})
    with pytest.raises(DatasetError, match=r"other\.mat has no variable rand_perm_cam"):
        SYSUProtocol(tmp_path / "other.mat")


def test_dataset_errors():
    _, pids, camids, numbers, cells = small_dataset()
    drawn = cells[0, 0][1, 0][0, 0]
    keep = ~((pids == 2) & (camids == 1) & (numbers == drawn))
    with pytest.raises(
        DatasetError, match=rf"image {drawn:04d}\.jpg of identity 0002 in camera 1 \(trial 0\)"
    ):
        SYSUProtocol(cells, trials=4).setting(pids[keep], camids[keep], numbers[keep])
    with pytest.raises(DatasetError, match="no permutation for identity 0099 in camera 1"):
        SYSUProtocol(cells, trials=4).setting(
            np.append(pids, 99), np.append(camids, 1), np.append(numbers, 1)
        )
    with pytest.raises(DatasetError, match=r"identity \d+ has image number \d+ twice"):
        SYSUProtocol(cells).setting(np.tile(pids, 2), np.tile(camids, 2), np.tile(numbers, 2))
    with pytest.raises(DatasetError, match=r"cameras 1 to 6; camids holds \[0\]"):
        SYSUProtocol(cells).setting(pids, camids - 1, numbers)
    with pytest.raises(UserError, match="465 pids, 465 camids, 464 numbers: there must be as many"):
        SYSUProtocol(cells).setting(pids, camids, numbers[1:])
    with pytest.raises(ConfigError, match="5 trials were asked for, but rand_perm_cam has 4"):
        SYSUProtocol(cells, trials=5).setting(pids, camids, numbers)
    for options, message in [
        ({"search": "out"}, "search"),
        ({"shots": 3}, "shots"),
        ({"trials": 0}, "trials"),
    ]:
        with pytest.raises(ConfigError, match=message):
            SYSUProtocol(cells, **options)
