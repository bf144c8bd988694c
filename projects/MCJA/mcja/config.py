"""The config keys of MCJA."""

from yacs.config import CfgNode


def add_mcja_config(cfg: CfgNode) -> None:
    """Add MCJA's keys to a config that ``add_vireid_config`` has extended, in place; twice does no harm."""
    if "MDA" in cfg.MODEL:
        return
    node = type(cfg)

    cfg.MODEL.MDA = node()
    # Number of attention maps of each adapter (the M of the paper: 2 on SYSU-MM01, 12 on RegDB).
    cfg.MODEL.MDA.MODALITIES = 2
    # Where adapters stand. "auto": after the last 2 blocks of stage 2 and the last 3 of stage 3 of any
    # backbone. ["layer2", 2]: after the last 2 blocks of that container, or as many as it has.
    # "layer2.3": after that module. Names as in backbone.named_modules().
    cfg.MODEL.MDA.STAGES = ["auto"]

    # Cross-modality retrieval loss; STRENGTH is the regularization of its soft rank.
    cfg.MODEL.LOSSES.CMR = node({"SCALE": 1.0, "STRENGTH": 0.5})

    # Spectral augmentations; PROB is the probability of each. VIMC picks one of these four, which is
    # then applied with its own PROB.
    # HUE: bounds of the turn as a share of the circle, 0..0.5.
    cfg.INPUT.HUE_JITTER = node({"PROB": 0.5, "HUE": 0.2})
    cfg.INPUT.WEIGHTED_GRAYSCALE = node({"PROB": 0.5})
    # SCALE: bounds of the box's share of the image; RATIO: of its height by its width. PUBLISHED_BOX:
    # draw it as the published code does, with height and width of the image exchanged, so that on
    # upright images a part of it is lost.
    cfg.INPUT.CHANNEL_CUTMIX = node(
        {"PROB": 0.5, "SCALE": (0.02, 0.33), "RATIO": (0.3, 3.3), "PUBLISHED_BOX": False}
    )
    # FACTOR: bounds of the image's share in the blend with one of its channels.
    cfg.INPUT.SPECTRUM_JITTER = node({"PROB": 0.5, "FACTOR": (0.0, 1.0)})

    # TEST.RERANKER "MSER": multi-spectral enhanced ranking.
    cfg.TEST.MSER = node()
    # Reciprocal sets are made of the K1 + 1 nearest items, the item itself among them.
    cfg.TEST.MSER.K1 = 40
    # Nearest items whose sets are averaged.
    cfg.TEST.MSER.K2 = 20
    # Share of the original distance in the result.
    cfg.TEST.MSER.LAMBDA = 0.3
    # Whether neighbours are sought among the queries only, or among queries and gallery.
    cfg.TEST.MSER.QUERY_NEIGHBOURS_ONLY = True
