"""The packages of the wheel: those of each folder in projects/, and its configs as <package>.configs."""

from pathlib import Path

from setuptools import setup

PROJECTS = Path(__file__).parent / "projects"

folders = {}
for init in PROJECTS.glob("*/*/**/__init__.py"):
    package = init.parent.relative_to(PROJECTS)
    folders[".".join(package.parts[1:])] = init.parent
    if len(package.parts) == 2:
        folders[f"{package.name}.configs"] = init.parents[1] / "configs"

setup(
    packages=sorted(folders),
    package_dir={name: str(folder.relative_to(PROJECTS.parent)) for name, folder in folders.items()},
)
