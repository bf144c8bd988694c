"""Every config key that this plugin adds to the toolkit's, and the defaults it changes.

Each key stands with its default and what it may hold; the comment above it says what it does.
``tools/config_table.py`` writes docs/config.md from this file and those of the methods.
"""

from functools import partial

from yacs.config import CfgNode

from vireid.config.rules import add_key, anything, bounds, choice, integer, listing, names, number, text
from vireid.config.toolkit_keys import add_toolkit_rules


def add_vireid_config(cfg: CfgNode) -> None:
    """Add the keys of visible-infrared ReID to a FastReID config, in place; twice does no harm."""
    if "SEED" in cfg:
        return
    import torch  # here, so that the command line's help need not wait for it

    add = partial(add_key, cfg)
    add_toolkit_rules(cfg)

    # Other defaults of the toolkit's keys.
    cfg.MODEL.META_ARCHITECTURE = "VIReID"
    cfg.MODEL.DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
    cfg.MODEL.BACKBONE.FEAT_DIM = 0
    cfg.DATALOADER.SAMPLER_TRAIN = "CrossModalityIdentitySampler"
    cfg.DATALOADER.NUM_WORKERS = 4

    # Modules of your own, imported before anything is built, so that what they register can be named here:
    # ["night_watch.loss"]. Found in the working directory or among the installed packages. A function
    # add_config(cfg) in one adds its keys.
    add("PLUGINS", (), names())

    # Same seed, same run: weights, batches, augmentation and patch masks. -1 draws one and logs it.
    add("SEED", 0, integer(-1, 2**31 - 1))

    # What a training writes beside log.txt and metrics.json: "tensorboard"; "csv", the table metrics.csv;
    # "wandb", Weights & Biases (the extra `wandb`); "curves", the picture curves.png at its end (the extra
    # `plots`).
    add("LOGGERS", ("tensorboard", "curves"), listing(choice("tensorboard", "csv", "wandb", "curves")))
    # Weights & Biases: the project of the run. WANDB_MODE=offline in the environment sends nothing.
    add("WANDB.PROJECT", "fastreid-vi", text(empty=False))

    # Keep weights and activations in channels-last memory: faster with bf16 on CPU and tensor cores.
    add("MODEL.CHANNELS_LAST", False)
    # A MODEL.WEIGHTS file must fit the model exactly. False takes what fits and lists the rest:
    # for starting from weights of another dataset, whose classifier has other identities.
    add("MODEL.WEIGHTS_STRICT", True)
    # Width of build_small_resnet_backbone (the toolkit's ResNets have 64).
    add("MODEL.BACKBONE.WIDTH", 32, integer(1, 1024))

    # build_timm_backbone (the extra `timm`): a model of timm that gives a feature map or tokens, with or
    # without the tag of its pretrained weights: "convnext_tiny.in12k_ft_in1k", "vit_small_patch14_dinov2".
    add("MODEL.BACKBONE.TIMM.NAME", "")
    # Further arguments of timm.create_model, as pairs: [["drop_path_rate", 0.1]].
    add("MODEL.BACKBONE.TIMM.KWARGS", [], listing(listing(anything("a name or a value", "a"), 2)))

    # Backbone modules of which each modality has a copy of its own. ("auto",) is the stem of a known
    # backbone; () is one stream; else names as in backbone.named_modules().
    add("MODEL.TWO_STREAM.SPECIFIC", ("auto",), names())
    # Which copy patch-mixed images go through: "visible", "infrared", or "own" (a third one); "patches": each
    # patch has what the copy of its modality made of the whole image that the patch was taken from.
    add("MODEL.TWO_STREAM.MIXED_STEM", "visible", choice("visible", "infrared", "own", "patches"))

    # With TrackSampler: average the feature maps of a track's frames, so that head and losses see one for
    # each track. A test averages embeddings instead.
    add("MODEL.TRACK_MEAN", False)

    # What a model of this config knows alone, such as "generated persons": named wherever it is used.
    add("MODEL.KNOWS_ONLY", "")

    # What is inserted into the backbone after its pretrained weights are loaded, by name: "MDA", ...
    add("MODEL.ADAPTERS", (), names())

    # Names of MODEL.LOSSES.NAME that see visible and infrared images alone, and no patch-mixed ones.
    add("MODEL.LOSSES.WITHOUT_MIXED", (), names())

    # What is done to a whole training batch on the device, in this order, by name: "PatchMix", ...
    add("MODEL.BATCH_TRANSFORMS", (), names())

    # The filter that resizes images, in training and test; the toolkit's is "bicubic".
    add("INPUT.INTERPOLATION", "bicubic", choice("bilinear", "bicubic", "lanczos"))
    # Augmentations of each modality after the resize, by name, in this order. Each reads its settings
    # from the toolkit's key (INPUT.FLIP.PROB, ...). The ENABLED flags there switch nothing on: True is
    # refused where neither list names the transform.
    add("INPUT.VISIBLE_TRANSFORMS", ("Flip", "PadCrop"), names(repeated=True))
    add("INPUT.INFRARED_TRANSFORMS", ("Flip", "PadCrop"), names(repeated=True))
    # Further views of each image in a training batch, beside the one above, each a list of augmentations:
    # [["ChannelExchange", "Flip"]] puts every image into the batch twice. SOLVER.IMS_PER_BATCH counts images,
    # not views.
    add("INPUT.VISIBLE_FURTHER_VIEWS", [], listing(names(repeated=True)))
    add("INPUT.INFRARED_FURTHER_VIEWS", [], listing(names(repeated=True)))
    # Pixel value of the border that PadCrop adds.
    add("INPUT.PADDING.VALUE", 0, integer(0, 255))
    # Area of the box RandomErasing fills, as a share of the image.
    add("INPUT.REA.SCALE", (0.02, 0.33), bounds(0, 1, above=True))
    # Probability that RandomGrayscale takes an image's color.
    add("INPUT.GRAYSCALE.PROB", 0.5, number(0, 1))
    # Probability that ChannelExchange replaces an image by one of its channels.
    add("INPUT.CHANNEL_EXCHANGE.PROB", 0.5, number(0, 1))
    # An image that cannot be read: "error" stops and names it; "skip" puts another image of the same
    # identity and modality in its place, and counts it (training only).
    add("INPUT.UNREADABLE", "error", choice("error", "skip"))
    # Look at the first and last bytes of every listed image before training: a file that is missing, empty,
    # cut off, or no JPEG, PNG or BMP is named then. False leaves it out, where a network disk is slow.
    add("INPUT.CHECK_FILES", True)

    # Number of trials that SYSU-MM01 and LLCM average, and List where DATASETS.LIST.SHOTS is above 0.
    add("DATASETS.TRIALS", 10, integer(1, 1000))
    # RegDB: which of the ten splits is trained and tested.
    add("DATASETS.REGDB.SPLIT", 1, integer(1, 10))
    # The dataset List: a CSV file with a line for each image, and the columns path, identity, camera,
    # modality and subset. `vireid data list` writes one.
    add("DATASETS.LIST.FILE", "")
    # How many gallery images of each identity and camera a trial draws; 0: all images, in one trial.
    add("DATASETS.LIST.SHOTS", 0, integer(0, 10_000))
    # SYSU-MM01: how the galleries of the trials are drawn. "official": by the permutations that come with the
    # dataset, as MCJA's figures; "random": by random.seed(trial), as the figures of AGW, CAJ and DEEN.
    add("DATASETS.SYSUMM01.GALLERY", "official", choice("official", "random"))
    # SYSU-MM01: "trainval" trains on the training and validation identities, as published; "train" on the
    # training identities alone.
    add("DATASETS.SYSUMM01.TRAIN_ON", "trainval", choice("trainval", "train"))
    # SYSU-MM01: "val" tests the validation identities instead of the test ones, under the same protocol: for
    # choosing settings of a training with TRAIN_ON "train".
    add("DATASETS.SYSUMM01.TEST_ON", "test", choice("test", "val"))

    # Where resized images are kept, so that each is decoded and resized once: "" (nowhere), "ram" (in memory
    # that the processes of a machine share, for one run), or a folder on a fast local disk (for all runs).
    # An image takes 3 x height x width bytes: at 384x192, SYSU-MM01 takes 7.6 GB to train and 2.3 GB to test.
    add("DATALOADER.CACHE", "")
    # TrackSampler: how many frames of each track a batch has.
    add("DATALOADER.TRACK_FRAMES", 6, integer(1, 1000))
    # Stop an epoch after this many batches; 0 is a whole pass of the sampler.
    add("DATALOADER.MAX_BATCHES_PER_EPOCH", 0, integer(0, 10**9))

    # Epochs of warm-up; 0 leaves it to the toolkit's WARMUP_ITERS.
    add("SOLVER.WARMUP_EPOCHS", 0, integer(0, 100_000))

    # Batches whose gradients one update takes the mean of. Losses, batch norm and PatchMix see one batch of
    # IMS_PER_BATCH images at a time, so this is not the same as a larger IMS_PER_BATCH; the schedule counts
    # batches, and an epoch ends with an update.
    add("SOLVER.ACCUMULATE", 1, integer(1, 10_000))
    # Exponential moving average of weights and running statistics over the updates. It is what is evaluated,
    # what a checkpoint has under "model", and what `vireid export` exports.
    add("SOLVER.EMA.ENABLED", False)
    # The share of the average that an update keeps.
    add("SOLVER.EMA.DECAY", 0.999, number(0, 1, below=True))
    # Also save within an epoch, every so many minutes: --resume goes on at that very iteration. 0: never.
    # SIGINT (Ctrl-C) and SIGTERM save in any case.
    add("SOLVER.CHECKPOINT_MINUTES", 10.0, number(0, 10_000))

    # Compile the backbone (torch.compile): its first steps take minutes, the others less time. It needs a C++
    # compiler, and triton on a GPU.
    add("SOLVER.COMPILE", False)

    # With SOLVER.AMP.ENABLED: "bf16"; "fp16" (GPUs only, with loss scaling); "auto": bf16 where the device
    # computes in it, and float32 elsewhere.
    add("SOLVER.AMP.DTYPE", "auto", choice("auto", "bf16", "fp16"))

    # HITSZ-VCM, and List with tracks: how many frames of a track are embedded, evenly, and averaged; 0: all.
    # The released code of HITSZ-VCM takes 6.
    add("TEST.TRACK_FRAMES", 6, integer(0, 10_000))

    # The re-ranker by its registered name: "MSER"; "" for none. The toolkit's TEST.AQE.ENABLED and
    # TEST.RERANK.ENABLED choose the toolkit's.
    add("TEST.RERANKER", "")

    # Galleries of both modalities, as further rows after the published settings: each percent puts so many
    # images of the queries' own modality in the place of others. [0, 25, 50, 75]; [] for none. docs/search.md
    # says how they are drawn.
    add("TEST.MIXED_GALLERY", [], listing(integer(0, 99)))
    # In these galleries, bring the distances within and across modalities to the same mean and spread, taken
    # over all queries of a trial.
    add("TEST.MODALITY_NORM", False)

    # Open-set search, in every row: half of the persons leave the gallery. How many queries of the others
    # find their person first and above the threshold that this share of the queries of those who left
    # passes? [0.01, 0.05, 0.1]; [] for none. The thresholds are in results.json.
    add("TEST.OPEN_SET", [], listing(number(0, 1, above=True, below=True)))

    # Which figure decides what model_best.pth is: METRIC, ROW/METRIC or DATASET/ROW/METRIC, with rows as the
    # results table names them ("all-search single-shot", "all-search single-shot + MSER"); by default the
    # first row of the first test dataset. METRIC is one of Rank-1, Rank-5, Rank-10, Rank-20, mAP, mINP.
    # Several figures, separated by commas: their mean.
    add("TEST.BEST_METRIC", "mAP", text(empty=False))
