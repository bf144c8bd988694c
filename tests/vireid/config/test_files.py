"""_BASE_ in config files: one or several, by path or by name, in a checkout and where it is installed."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from configs import PROJECTS, all_keys
from vireid.config.files import find_config, load_tree, merge_config
from vireid.errors import ConfigError

METHODS = ("vireid", "pmcm", "mcja", "caj", "deen")


def merged(name, *opts):
    cfg = all_keys()
    merge_config(cfg, str(name), list(opts))
    return cfg


def write(folder, **files):
    for name, text in files.items():
        (folder / f"{name}.yml").write_text(text)
    return folder / f"{name}.yml"


def test_the_last_of_several_bases_wins_and_the_file_itself_over_all(tmp_path):
    file = write(
        tmp_path,
        first="SOLVER: {MAX_EPOCH: 1, BASE_LR: 0.1, GAMMA: 0.1}\nSEED: 5",
        second="SOLVER: {MAX_EPOCH: 2, BASE_LR: 0.2}",
        file="_BASE_: [first.yml, second.yml]\nSOLVER: {MAX_EPOCH: 3}",
    )
    cfg = merged(file)
    assert (cfg.SOLVER.MAX_EPOCH, cfg.SOLVER.BASE_LR, cfg.SOLVER.GAMMA, cfg.SEED) == (3, 0.2, 0.1, 5)


def test_a_list_replaces_a_list_and_a_group_of_keys_adds_to_a_group():
    assert load_tree(PROJECTS / "MCJA/configs/sysu.yml")["SOLVER"]["STEPS"] == [80, 120]
    tree = load_tree(PROJECTS / "MCJA/configs/regdb.yml")
    assert tree["SOLVER"]["STEPS"] == []
    assert tree["MODEL"]["MDA"] == {"MODALITIES": 12, "STAGES": ["auto"]}
    assert tree["DATASETS"]["NAMES"] == ["RegDB"]


def test_a_base_is_found_beside_its_file_and_by_name(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")  # not where the files are
    write(tmp_path, beside="SEED: 8")
    file = write(tmp_path / "deep", mine="_BASE_: [../beside.yml, pmcm/regdb]\nOUTPUT_DIR: mine")
    cfg = merged(file)
    assert (cfg.SEED, cfg.OUTPUT_DIR, cfg.DATASETS.NAMES) == (0, "mine", ("RegDB",))
    assert cfg.MODEL.HEADS.NAME == "PartEmbeddingHead"
    assert merged("pmcm/regdb").dump() == merged(PROJECTS / "PMCM/configs/regdb.yml").dump()


def test_a_file_goes_before_a_config_of_the_same_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pmcm").mkdir()
    (tmp_path / "pmcm" / "sysu").write_text("SEED: 77")
    assert merged("pmcm/sysu").SEED == 77


@pytest.mark.parametrize(
    "name", ["pmcm/absent", "absent/sysu", "pmcm", "not a package/sysu", "json/sysu", ""]
)
def test_what_names_no_config_is_none(name):
    assert find_config(name) is None


def test_a_cycle_is_named(tmp_path):
    file = write(tmp_path, one="_BASE_: two.yml", two="_BASE_: three.yml", three="_BASE_: [one.yml]")
    with pytest.raises(ConfigError, match="three.yml: its _BASE_ leads back to itself"):
        merged(file)
    with pytest.raises(ConfigError, match="self.yml: its _BASE_ leads back to itself"):
        merged(write(tmp_path, self="_BASE_: self.yml"))


def test_two_ways_to_one_base_are_no_cycle(tmp_path):
    file = write(
        tmp_path,
        root="SEED: 3",
        left="_BASE_: root.yml",
        right="_BASE_: root.yml",
        both="_BASE_: [left.yml, right.yml]",
    )
    assert merged(file).SEED == 3


@pytest.mark.parametrize("base", ["absent.yml", "pmcm/absent", "[sysu.yml, absent/sysu]", "3", "[{a: 1}]"])
def test_a_base_that_is_not_there_is_named_with_the_file(tmp_path, base):
    write(tmp_path, sysu="SEED: 1")
    file = write(tmp_path, mine=f"_BASE_: {base}")
    with pytest.raises(ConfigError) as error:
        merged(file)
    assert str(error.value).startswith(f"{file}: its _BASE_ ")
    assert str(error.value).endswith(" does not exist")


def test_every_shipped_config_has_a_name():
    for method in METHODS:
        for file in (PROJECTS / {"vireid": "VIReID"}.get(method, method.upper()) / "configs").glob(
            "[!_]*.yml"
        ):
            assert find_config(f"{method}/{file.stem}").samefile(file)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder that holds the packages as ``pip install`` would put them among the installed ones."""
    folder = tmp_path_factory.mktemp("installed")
    source = folder / "source"
    shutil.copytree(PROJECTS, source / "projects", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(PROJECTS.parent / name, source)
    build = subprocess.run(
        [sys.executable, "setup.py", "-q", "build_py", "--build-lib", str(folder / "lib")],
        cwd=source,
        capture_output=True,
        text=True,
        check=False,
    )
    assert build.returncode == 0, build.stderr
    return folder / "lib"


MERGED = """
import json, sys
import vireid, pmcm, mcja, caj, deen
from fastreid.config import get_cfg
from vireid.engine import merge_config
found = {}
for name in sys.argv[1:]:
    cfg = get_cfg()
    vireid.add_vireid_config(cfg), pmcm.add_pmcm_config(cfg), mcja.add_mcja_config(cfg)
    caj.add_caj_config(cfg), deen.add_deen_config(cfg)
    merge_config(cfg, name, [])
    found[name] = cfg.dump()
print(json.dumps({"files": [m.__file__ for m in (vireid, pmcm, mcja, caj, deen)], "configs": found}))
"""


def test_installed_packages_find_the_same_configs_by_name(python, installed, tmp_path):
    """From an empty working directory, with nothing of the checkout on the path."""
    names = [f"{method}/{name}" for method in METHODS for name in ("sysu", "regdb", "llcm", "demo")]
    run = python(MERGED, *names, path=[str(installed)], cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert all(Path(file).is_relative_to(installed) for file in found["files"])
    assert found["configs"] == {name: merged(name).dump() for name in names}


def test_every_package_and_config_is_installed(installed):
    def files(root, *patterns):
        return {path.relative_to(root) for pattern in patterns for path in root.glob(pattern)}

    expected = set()
    for project in PROJECTS.iterdir():
        (package,) = (path.parent for path in project.glob("*/__init__.py"))
        expected |= files(project, f"{package.name}/**/*.py")
        expected |= {Path(package.name, path) for path in files(project, "configs/*.yml")}
    assert files(installed, "**/*.py", "**/*.yml") == expected
