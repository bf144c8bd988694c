"""What makes a recipe of the toolkit's short."""

# On top of a recipe: a small network without download, small images, few batches.
SMALL = {
    "MODEL.DEVICE": "cpu",
    "MODEL.BACKBONE.PRETRAIN": False,
    "INPUT.SIZE_TRAIN": [96, 32],
    "INPUT.SIZE_TEST": [96, 32],
    "DATASETS.NAMES": ("Market1501",),
    "DATASETS.TESTS": ("Market1501",),
    "DATALOADER.NUM_WORKERS": 0,
    "DATALOADER.NUM_INSTANCE": 2,
    "SOLVER.IMS_PER_BATCH": 8,
    "SOLVER.WARMUP_ITERS": 0,
    "SOLVER.MAX_EPOCH": 1,
    "SOLVER.CHECKPOINT_PERIOD": 1,
    "TEST.EVAL_PERIOD": 1,
}
