"""What the toolkit's own config keys may hold, where this plugin uses them.

A comment says what a key means here where that is not what the toolkit's documentation says.
"""

import math

from yacs.config import CfgNode

from vireid.config.rules import (
    RULES,
    Rule,
    choice,
    flag,
    integer,
    leaves,
    listing,
    matching,
    names,
    number,
    size,
    text,
)

NORMS = ("BN", "syncBN", "GhostBN", "FrozenBN", "GN")
HEAD_NORMS = tuple(norm for norm in NORMS if norm != "FrozenBN")
OPTIMIZERS = (
    "SGD", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "Adagrad", "Adadelta", "RMSprop", "ASGD", "Rprop"
)  # fmt: skip
PROBABILITY = number(0, 1)
WEIGHT = number(0, 1e6)  # of a loss
FACTOR = number(0, 1e4)  # of a learning rate
DECAY = number(0, 10)
COUNT = integer(1, 100_000)
EPOCHS = integer(0, 100_000)
ITERATIONS = integer(0, 10**9)

TOOLKIT_RULES: dict[str, Rule] = {
    # True is refused: it would train on the test identities.
    "DATASETS.COMBINEALL": flag(),
    # On a machine without a GPU, "cuda" becomes "cpu", with a warning.
    "MODEL.DEVICE": matching(r"cpu|cuda(:\d{1,3})?", "cpu, cuda, or a GPU such as cuda:0", "cpu"),
    "MODEL.META_ARCHITECTURE": text(empty=False),
    "MODEL.FREEZE_LAYERS": listing(choice("backbone", "heads")),
    "MODEL.BACKBONE.NAME": text(empty=False),
    "MODEL.BACKBONE.DEPTH": text(),
    "MODEL.BACKBONE.LAST_STRIDE": integer(1, 2),
    # 0 is found out from the backbone; a number that is not the backbone's is an error.
    "MODEL.BACKBONE.FEAT_DIM": integer(0, 65_536),
    "MODEL.BACKBONE.NORM": choice(*NORMS),
    "MODEL.BACKBONE.SIE_COE": number(0, 100),
    "MODEL.BACKBONE.STRIDE_SIZE": listing(integer(1, 64), 2),
    "MODEL.BACKBONE.DROP_PATH_RATIO": number(0, 1, below=True),
    "MODEL.BACKBONE.DROP_RATIO": number(0, 1, below=True),
    "MODEL.BACKBONE.ATT_DROP_RATE": number(0, 1, below=True),
    "MODEL.HEADS.NAME": text(empty=False),
    "MODEL.HEADS.NORM": choice(*HEAD_NORMS),
    # Counted from the training set; what a config says has no effect.
    "MODEL.HEADS.NUM_CLASSES": integer(0, 1_000_000),
    "MODEL.HEADS.EMBEDDING_DIM": integer(0, 65_536),
    "MODEL.HEADS.NECK_FEAT": choice("before", "after"),
    "MODEL.HEADS.POOL_LAYER": text(empty=False),
    "MODEL.HEADS.CLS_LAYER": text(empty=False),
    "MODEL.HEADS.MARGIN": number(0, 2),
    "MODEL.HEADS.SCALE": integer(1, 10_000),
    "MODEL.LOSSES.NAME": names(),
    # -1 is adaptive label smoothing, with ALPHA.
    "MODEL.LOSSES.CE.EPSILON": number(0, 1, or_else=-1),
    "MODEL.LOSSES.CE.ALPHA": number(0, 1),
    "MODEL.LOSSES.CE.SCALE": WEIGHT,
    "MODEL.LOSSES.FL.ALPHA": number(0, 1),
    "MODEL.LOSSES.FL.GAMMA": integer(0, 100),
    "MODEL.LOSSES.FL.SCALE": WEIGHT,
    # 0 without HARD_MINING is the weighted-regularized triplet of AGW.
    "MODEL.LOSSES.TRI.MARGIN": number(0, 100),
    "MODEL.LOSSES.TRI.SCALE": WEIGHT,
    "MODEL.LOSSES.CIRCLE.MARGIN": number(0, 1),
    "MODEL.LOSSES.CIRCLE.GAMMA": integer(1, 10_000),
    "MODEL.LOSSES.CIRCLE.SCALE": WEIGHT,
    "MODEL.LOSSES.COSFACE.MARGIN": number(0, 1),
    "MODEL.LOSSES.COSFACE.GAMMA": integer(1, 10_000),
    "MODEL.LOSSES.COSFACE.SCALE": WEIGHT,
    "MODEL.PIXEL_MEAN": listing(number(0, 255), 3),
    "MODEL.PIXEL_STD": listing(number(0.001, 255), 3),
    "INPUT.SIZE_TRAIN": size(4096),
    "INPUT.SIZE_TEST": size(4096),
    "INPUT.FLIP.PROB": PROBABILITY,
    "INPUT.PADDING.MODE": choice("constant", "edge", "reflect", "symmetric"),
    "INPUT.PADDING.SIZE": integer(0, 1024),
    "INPUT.CJ.PROB": PROBABILITY,
    "INPUT.CJ.BRIGHTNESS": number(0, 10),
    "INPUT.CJ.CONTRAST": number(0, 10),
    "INPUT.CJ.SATURATION": number(0, 10),
    "INPUT.CJ.HUE": number(0, 0.5),
    "INPUT.REA.PROB": PROBABILITY,
    "INPUT.REA.VALUE": listing(number(0, 255), 1, 3),
    "DATASETS.NAMES": names(),
    "DATASETS.TESTS": names(),
    # CrossModalityIdentitySampler: NUM_INSTANCE visible and NUM_INSTANCE infrared images of each of
    # IMS_PER_BATCH / (2 NUM_INSTANCE) identities. ModalityFreeIdentitySampler: NUM_INSTANCE images of
    # each of IMS_PER_BATCH / NUM_INSTANCE identities, whatever their modality. AGWIdentitySampler and
    # MCJAIdentitySampler are the published ones of either kind: vireid/data/published_samplers.py.
    # TrackSampler: as the first, of tracks instead of images, with TRACK_FRAMES frames of each.
    "DATALOADER.SAMPLER_TRAIN": text(empty=False),
    "DATALOADER.NUM_INSTANCE": integer(1, 10_000),
    # No more than the cores of the process are started.
    "DATALOADER.NUM_WORKERS": integer(0, 512),
    # An optimizer of torch.optim that takes parameters of any shape, and steps without a closure.
    "SOLVER.OPT": choice(*OPTIMIZERS),
    "SOLVER.MAX_EPOCH": COUNT,
    "SOLVER.BASE_LR": number(0, 1000),
    "SOLVER.HEADS_LR_FACTOR": FACTOR,
    "SOLVER.BIAS_LR_FACTOR": FACTOR,
    "SOLVER.MOMENTUM": number(0, 1, below=True),
    "SOLVER.WEIGHT_DECAY": DECAY,
    "SOLVER.WEIGHT_DECAY_NORM": DECAY,
    "SOLVER.WEIGHT_DECAY_BIAS": DECAY,
    "SOLVER.SCHED": choice("MultiStepLR", "CosineAnnealingLR"),
    # CosineAnnealingLR begins after so many epochs; MultiStepLR does not read it.
    "SOLVER.DELAY_EPOCHS": EPOCHS,
    "SOLVER.GAMMA": number(0, 10),
    # Epochs of training, counted from its start: [20] lowers the rate for epochs 20, 21, ... (the toolkit
    # counts from the end of warm-up).
    "SOLVER.STEPS": listing(EPOCHS),
    "SOLVER.ETA_MIN_LR": number(0, 1000),
    "SOLVER.WARMUP_FACTOR": number(0, 1),
    "SOLVER.WARMUP_ITERS": ITERATIONS,
    "SOLVER.WARMUP_METHOD": choice("linear", "constant", "exp"),
    "SOLVER.FREEZE_ITERS": ITERATIONS,
    # 0: after the last epoch only.
    "SOLVER.CHECKPOINT_PERIOD": EPOCHS,
    # The images of a batch over all processes.
    "SOLVER.IMS_PER_BATCH": COUNT,
    "SOLVER.CLIP_GRADIENTS.CLIP_TYPE": choice("norm", "value"),
    "SOLVER.CLIP_GRADIENTS.CLIP_VALUE": number(0, 1e6, above=True),
    "SOLVER.CLIP_GRADIENTS.NORM_TYPE": number(1, 100, or_else=math.inf),
    # 0: after the last epoch only. -1: never.
    "TEST.EVAL_PERIOD": integer(-1, 100_000),
    # The batch of each process.
    "TEST.IMS_PER_BATCH": COUNT,
    "TEST.METRIC": choice("cosine", "euclidean"),
    "TEST.AQE.ALPHA": number(0, 100),
    "TEST.AQE.QE_TIME": integer(1, 100),
    "TEST.AQE.QE_K": integer(1, 100_000),
    "TEST.RERANK.K1": integer(1, 100_000),
    "TEST.RERANK.K2": integer(1, 100_000),
    "TEST.RERANK.LAMBDA": PROBABILITY,
    # Adds to each row the share of matched pairs that a threshold accepts at a share of mismatched pairs
    # (TPR@FPR), and that threshold: a distance, which with METRIC cosine is minus the cosine.
    "TEST.ROC.ENABLED": flag(),
    "TEST.PRECISE_BN.NUM_ITER": integer(1, 10**6),
    "OUTPUT_DIR": text(empty=False),
}

# Keys of the toolkit's that nothing here reads.
UNUSED = (
    "MODEL.QUEUE_SIZE",
    "KD.MODEL_CONFIG",
    "KD.MODEL_WEIGHTS",
    "KD.EMA.ENABLED",
    "KD.EMA.MOMENTUM",
    "INPUT.CROP.SIZE",
    "INPUT.CROP.SCALE",
    "INPUT.CROP.RATIO",
    "INPUT.AUTOAUG.PROB",
    "INPUT.AUGMIX.PROB",
    "INPUT.RPT.PROB",
    "DATALOADER.SET_WEIGHT",
    "TEST.PRECISE_BN.DATASET",
)


def add_toolkit_rules(cfg: CfgNode) -> None:
    """Give the toolkit's keys in ``cfg`` their rules; those without one in the table hold True or False, or
    text, as their default does."""
    RULES.update(TOOLKIT_RULES)
    for key, default in leaves(cfg):
        if key not in RULES and key not in UNUSED and isinstance(default, bool | str):
            RULES[key] = flag() if isinstance(default, bool) else text()
