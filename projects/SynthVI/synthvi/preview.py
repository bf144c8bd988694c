"""A contact sheet of a generated dataset: one row for each identity, one column for each camera."""

import os
from pathlib import Path

from PIL import Image, ImageDraw

from synthvi.layouts.plan import Plan, Shot

_GAP, _LABEL = 3, 14


def write_contact_sheet(
    path: str | os.PathLike, folder: str | os.PathLike, plan: Plan, rows: int = 8
) -> Path:
    """Draw some identities in each camera: the first image, or the first two with six cameras or fewer.

    Args:
        path: of the picture; its folder is made where needed.
        folder: of the dataset.
        plan: of the dataset.
        rows: number of identities, the lowest first.

    Returns:
        The path of the picture.
    """
    pids = sorted({shot.pid for shot in plan.shots})[:rows]
    per_camera = 2 if len(plan.cameras) <= 6 else 1
    chosen: dict[tuple[int, str, int], Shot] = {}
    for shot in plan.shots:
        if shot.pid in pids and shot.number <= per_camera:
            chosen[shot.pid, shot.camera, shot.number] = shot
    columns = [(camera, number) for camera in plan.cameras for number in range(1, per_camera + 1)]
    columns = [column for column in columns if any((pid, *column) in chosen for pid in pids)]
    with Image.open(Path(folder) / next(iter(chosen.values())).path) as first:
        width, height = first.size
    left = 34
    sheet = Image.new(
        "RGB", (left + len(columns) * (width + _GAP), _LABEL + len(pids) * (height + _GAP)), "white"
    )
    pen = ImageDraw.Draw(sheet)
    for column, (camera, number) in enumerate(columns):
        if number == 1:
            pen.text((left + column * (width + _GAP), 1), camera, fill="black")
    for row, pid in enumerate(pids):
        top = _LABEL + row * (height + _GAP)
        pen.text((2, top + 2), f"{pid:04d}", fill="black")
        for column, (camera, number) in enumerate(columns):
            if (pid, camera, number) in chosen:
                with Image.open(Path(folder) / chosen[pid, camera, number].path) as image:
                    sheet.paste(image, (left + column * (width + _GAP), top))
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(target)
    return target
