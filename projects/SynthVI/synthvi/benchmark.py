"""Writes and checks the dataset of a recipe."""

import os
from dataclasses import dataclass

from synthvi.checksums import verify_checksums, write_checksums
from synthvi.generate import Report, write_dataset
from synthvi.recipe import RECIPES, Recipe, plan_recipe


@dataclass(frozen=True)
class Benchmark:
    """A written benchmark.

    Attributes:
        report: what was written.
        digest: SHA-256 of the checksum file.
        as_published: whether it is the recipe's digest.
    """

    report: Report
    digest: str
    as_published: bool


def write_benchmark(
    recipe: Recipe, output: str | os.PathLike, workers: int | None = None, progress: bool = True
) -> Benchmark:
    """Render a recipe's dataset in SYSU-MM01's layout, with a checksum file of all its files.

    Args:
        recipe: one of ``synthvi.recipe.RECIPES``.
        output: the dataset's own folder, new or empty.
        workers: processes; by default one for each core. The files do not depend on it.
        progress: show a progress bar on the terminal.

    Raises:
        UserError: workers is below 1.
        DatasetError: the output folder holds something, or cannot be written.
    """
    plan = plan_recipe(recipe)
    report = write_dataset(plan, output, recipe.seed, recipe.size, recipe.conditions, workers, progress)
    digest = write_checksums(report.output)
    return Benchmark(report, digest, digest == recipe.digest)


def verify_benchmark(folder: str | os.PathLike) -> str | None:
    """Check a folder against its checksum file.

    Returns:
        The name of the recipe whose published digest it has; None where it has no published one.

    Raises:
        DatasetError: a file is missing, differs, or is not in the checksum file.
    """
    digest = verify_checksums(folder)
    return next((name for name, recipe in RECIPES.items() if recipe.digest == digest), None)
