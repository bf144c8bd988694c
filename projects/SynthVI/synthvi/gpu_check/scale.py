"""How large the check is: as for a GPU, or so small that a CPU tries the program itself."""

from dataclasses import dataclass

_TINY_NETWORK = (
    *("MODEL.BACKBONE.NAME", "build_small_resnet_backbone", "MODEL.BACKBONE.DEPTH", "10x"),
    *("MODEL.BACKBONE.WIDTH", "8", "MODEL.BACKBONE.WITH_NL", "False", "MODEL.HEADS.PARTS.COUNT", "2"),
)


@dataclass(frozen=True)
class Scale:
    """Sizes of the images, the benchmarks and the trainings.

    Attributes:
        name: "full" or "tiny".
        identities, test_identities: persons, those for testing among them.
        images: of each person by each of six cameras.
        size: (height, width) of the images.
        network: KEY VALUE pairs of a training's network.
        training: KEY VALUE pairs that the trainings share beside it.
        epoch_steps: steps of an epoch.
        most_epochs: of a training, however much time there is.
        pace_epochs: epochs of the training that measures the time of a step.
        step, data: arguments of ``benchmark.py step`` and ``data``.
    """

    name: str
    identities: int
    test_identities: int
    images: int
    size: tuple[int, int]
    network: tuple[str, ...]
    training: tuple[str, ...]
    epoch_steps: int
    most_epochs: int
    pace_epochs: int
    step: tuple[str, ...]
    data: tuple[str, ...]


FULL = Scale(
    name="full",
    identities=300,
    test_identities=60,
    images=2,
    size=(288, 144),
    network=(
        *("MODEL.BACKBONE.NAME", "build_resnet_backbone", "MODEL.BACKBONE.DEPTH", "50x"),
        *("MODEL.BACKBONE.WITH_NL", "False"),
    ),
    training=(
        *("INPUT.PADDING.SIZE", "10", "DATALOADER.NUM_INSTANCE", "4", "SOLVER.IMS_PER_BATCH", "64"),
        *("DATALOADER.NUM_WORKERS", "8", "SOLVER.BASE_LR", "0.001"),
    ),
    epoch_steps=50,
    most_epochs=60,
    pace_epochs=2,
    step=("--size", "384", "192", "--images", "32", "--turns", "3"),
    data=(
        *("--size", "384", "192", "--rounds", "4", "--steps", "40", "--workers", "8"),
        *("INPUT.SIZE_TRAIN", "[384, 192]"),
    ),
)
TINY = Scale(
    name="tiny",
    identities=12,
    test_identities=4,
    images=2,
    size=(64, 32),
    network=_TINY_NETWORK,
    training=(
        *("INPUT.PADDING.SIZE", "2", "DATALOADER.NUM_INSTANCE", "2", "SOLVER.IMS_PER_BATCH", "8"),
        *("DATALOADER.NUM_WORKERS", "1", "SOLVER.BASE_LR", "0.001", "TEST.MSER.K1", "5", "TEST.MSER.K2", "3"),
    ),
    epoch_steps=2,
    most_epochs=2,
    pace_epochs=2,
    step=("--size", "64", "32", "--images", "8", "--turns", "1", *_TINY_NETWORK),
    data=(
        *("--size", "64", "32", "--source", "64", "32", "--rounds", "1", "--steps", "2"),
        *("INPUT.SIZE_TRAIN", "[64, 32]", *_TINY_NETWORK),
    ),
)
SCALES = {scale.name: scale for scale in (FULL, TINY)}
