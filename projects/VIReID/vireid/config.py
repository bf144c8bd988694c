"""Every config key that this plugin adds to the toolkit's, and the defaults it changes."""

import torch
from yacs.config import CfgNode


def add_vireid_config(cfg: CfgNode) -> None:
    """Add the keys of visible-infrared ReID to a FastReID config, in place; twice does no harm."""
    if "SEED" in cfg:
        return
    node = type(cfg)

    # Modules of your own, imported before anything is built, so that what they register can be named here:
    # ["night_watch.loss"]. Found in the working directory or among the installed packages. A function
    # add_config(cfg) in one adds its keys.
    cfg.PLUGINS = ()

    # Same seed, same run: weights, batches, augmentation and patch masks. -1 draws one and logs it.
    cfg.SEED = 0

    cfg.MODEL.META_ARCHITECTURE = "VIReID"
    cfg.MODEL.DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
    # Keep weights and activations in channels-last memory: faster with bf16 on CPU and tensor cores.
    cfg.MODEL.CHANNELS_LAST = False
    # A MODEL.WEIGHTS file must fit the model exactly. False takes what fits and lists the rest:
    # for starting from weights of another dataset, whose classifier has other identities.
    cfg.MODEL.WEIGHTS_STRICT = True
    # 0 is found out from the backbone; a number that is not the backbone's is an error.
    cfg.MODEL.BACKBONE.FEAT_DIM = 0
    # Width of build_small_resnet_backbone (the toolkit's ResNets have 64).
    cfg.MODEL.BACKBONE.WIDTH = 32

    # build_timm_backbone (the extra `timm`). NAME: a model of timm that gives a feature map or tokens, with
    # or without the tag of its pretrained weights: "convnext_tiny.in12k_ft_in1k", "vit_small_patch14_dinov2".
    # KWARGS: further arguments of timm.create_model, as pairs: [["drop_path_rate", 0.1]].
    cfg.MODEL.BACKBONE.TIMM = node({"NAME": "", "KWARGS": []})

    cfg.MODEL.TWO_STREAM = node()
    # Backbone modules of which each modality has a copy of its own. ("auto",) is the stem of a known
    # backbone; () is one stream; else names as in backbone.named_modules().
    cfg.MODEL.TWO_STREAM.SPECIFIC = ("auto",)
    # Which copy patch-mixed images go through: "visible", "infrared", or "own" (a third one).
    cfg.MODEL.TWO_STREAM.MIXED_STEM = "visible"

    # What is inserted into the backbone after its pretrained weights are loaded, by name: "MDA", ...
    cfg.MODEL.ADAPTERS = ()

    # What is done to a whole training batch on the device, in this order, by name: "PatchMix", ...
    cfg.MODEL.BATCH_TRANSFORMS = ()

    # The filter that resizes images, in training and test: "bilinear", "bicubic" (the toolkit's), "lanczos".
    cfg.INPUT.INTERPOLATION = "bicubic"
    # Augmentations of each modality after the resize, by name, in this order. Each reads its settings
    # from the toolkit's key (INPUT.FLIP.PROB, ...); the ENABLED flags there have no effect here.
    cfg.INPUT.VISIBLE_TRANSFORMS = ("Flip", "PadCrop")
    cfg.INPUT.INFRARED_TRANSFORMS = ("Flip", "PadCrop")
    # Pixel value of the border that PadCrop adds (0..255).
    cfg.INPUT.PADDING.VALUE = 0
    # Area of the box RandomErasing fills, as a share of the image.
    cfg.INPUT.REA.SCALE = (0.02, 0.33)
    # Probability that RandomGrayscale takes an image's color.
    cfg.INPUT.GRAYSCALE = node({"PROB": 0.5})
    # Probability that ChannelExchange replaces an image by one of its channels.
    cfg.INPUT.CHANNEL_EXCHANGE = node({"PROB": 0.5})
    # An image that cannot be read: "error" stops and names it; "skip" puts another image of the same
    # identity and modality in its place, and counts it (training only).
    cfg.INPUT.UNREADABLE = "error"
    # Look at the first and last bytes of every listed image before training: a file that is missing, empty,
    # cut off, or no JPEG, PNG or BMP is named then. False leaves it out, where a network disk is slow.
    cfg.INPUT.CHECK_FILES = True

    # Number of trials that SYSU-MM01 and LLCM average.
    cfg.DATASETS.TRIALS = 10
    # RegDB: which of the ten splits is trained and tested, 1..10.
    cfg.DATASETS.REGDB = node({"SPLIT": 1})
    # SYSU-MM01: how the galleries of the trials are drawn. "official": by the permutations that come with the
    # dataset, as MCJA's figures; "random": by random.seed(trial), as the figures of AGW, CAJ and DEEN.
    cfg.DATASETS.SYSUMM01 = node({"GALLERY": "official"})

    # CrossModalityIdentitySampler: NUM_INSTANCE visible and NUM_INSTANCE infrared images of each of
    # IMS_PER_BATCH / (2 NUM_INSTANCE) identities. ModalityFreeIdentitySampler: NUM_INSTANCE images of
    # each of IMS_PER_BATCH / NUM_INSTANCE identities, whatever their modality. AGWIdentitySampler and
    # MCJAIdentitySampler are the published ones of either kind: vireid/data/published_samplers.py.
    cfg.DATALOADER.SAMPLER_TRAIN = "CrossModalityIdentitySampler"
    cfg.DATALOADER.NUM_WORKERS = 4
    # Where resized images are kept, so that each is decoded and resized once: "" (nowhere), "ram" (in memory
    # that the processes of a machine share, for one run), or a folder on a fast local disk (for all runs).
    # An image takes 3 x height x width bytes: at 384x192, SYSU-MM01 takes 7.6 GB to train and 2.3 GB to test.
    cfg.DATALOADER.CACHE = ""
    # Stop an epoch after this many batches; 0 is a whole pass of the sampler.
    cfg.DATALOADER.MAX_BATCHES_PER_EPOCH = 0

    # Epochs of warm-up; 0 leaves it to the toolkit's WARMUP_ITERS.
    cfg.SOLVER.WARMUP_EPOCHS = 0
    # SOLVER.STEPS are epochs of training, counted from its start: [20] lowers the rate for epochs 20, 21, ...
    # (the toolkit counts from the end of warm-up).

    # With SOLVER.AMP.ENABLED: "bf16"; "fp16" (GPUs only, with loss scaling); "auto": bf16 where the device
    # computes in it, and float32 elsewhere.
    cfg.SOLVER.AMP.DTYPE = "auto"

    # TEST.IMS_PER_BATCH is the batch of each process.

    # The re-ranker by its registered name: "MSER"; "" for none. The toolkit's TEST.AQE.ENABLED and
    # TEST.RERANK.ENABLED choose the toolkit's.
    cfg.TEST.RERANKER = ""

    # Which figure decides what model_best.pth is: METRIC, ROW/METRIC or DATASET/ROW/METRIC, with rows as the
    # results table names them ("all-search single-shot", "all-search single-shot + MSER"); by default the
    # first row of the first test dataset. METRIC is one of Rank-1, Rank-5, Rank-10, Rank-20, mAP, mINP.
    # Several figures, separated by commas: their mean.
    cfg.TEST.BEST_METRIC = "mAP"
