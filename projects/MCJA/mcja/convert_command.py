"""Convert a checkpoint of the published MCJA code for this project, or the reverse."""

import argparse
from pathlib import Path

from vireid.errors import UserError

EXAMPLES = """
The published code trains a ResNet-50 with five adapters (MDA), or with none. Its backbone.fc.* is not used
and dropped; the reverse writes zeros there. Optimizer and epoch are not converted.

The classes of the published code are the identities of SYSU-MM01's train_id.txt as they stand there, then
those of val_id.txt; here they are the same identities in ascending order. Embeddings do not depend on it. A
training that goes on from the checkpoint does: let --identities reorder the classifier.

examples:
  vireid convert mcja official_sysu.pth mcja_sysu.pth
  vireid convert mcja official_sysu.pth mcja_sysu.pth --identities datasets/SYSU-MM01/exp
  vireid convert mcja official_regdb_1.pth mcja_regdb_1.pth --regdb-split 1
  vireid convert mcja --reverse logs/sysu/mcja/model_best.pth official.pth
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is converted."""
    parser.add_argument("checkpoint", type=Path, metavar="OFFICIAL.pth", help="what is converted")
    parser.add_argument("output", type=Path, metavar="OUT.pth", help="where it goes")
    parser.add_argument("--reverse", action="store_true", help="from ours to the published code's")
    parser.add_argument(
        "--regdb-split",
        type=int,
        choices=range(1, 11),
        metavar="N",
        help="which split of RegDB it was trained on: testing it on another is then refused",
    )
    parser.add_argument(
        "--identities",
        metavar="DIR",
        help="folder of SYSU-MM01's train_id.txt and val_id.txt: the classifier is put in the other order",
    )


def run(args: argparse.Namespace) -> None:
    """Read, rename and write."""
    if args.identities and args.regdb_split:
        raise UserError("--identities is for SYSU-MM01, --regdb-split for RegDB; leave one out")
    import fastreid  # noqa: F401  (the parts of this package follow it)
    import torch

    from mcja.published import (
        class_order,
        from_published,
        model_size,
        read_weights,
        require_fit,
        to_published,
        with_own_classes,
        with_published_classes,
    )
    from vireid.engine.checkpoints.checkpoint import write_atomically

    if not args.output.resolve().parent.is_dir():
        raise UserError(
            f"there is no folder {args.output.resolve().parent} for {args.output.name}; create it"
        )
    source = str(args.checkpoint)
    order = class_order(args.identities) if args.identities else None
    weights = read_weights(source)
    identities, maps = model_size(weights, source)
    own = reference_state(identities, maps)
    content: dict[str, object]
    if args.reverse:
        require_fit(weights, own, source)
        if order:
            weights = with_published_classes(weights, order, source)
        content = {**to_published(weights, own, source)}
    else:
        model = from_published(weights, own, source)
        if order:
            model = with_own_classes(model, order, source)
        content = {"model": model, "num_classes": identities}
        if args.regdb_split:
            content["datasets"] = {"RegDB": {"split": args.regdb_split}}
    write_atomically(args.output, lambda file: torch.save(content, file))
    adapters = f"MDA with {maps} maps" if maps else "no MDA"
    print(f"{args.output}: {len(own)} tensors, {identities} identities, {adapters}")
    orders = ("this project's", "the published") if args.reverse else ("the published", "this project's")
    if order:
        print(f"classifier: from {orders[0]} order of identities to {orders[1]}")
    else:
        print(
            f"classifier: left in {orders[0]} order of identities; training must not go on from it "
            "(SYSU-MM01: --identities reorders it)"
        )


def reference_state(identities: int, maps: int) -> dict:
    """The state dict of our untrained model of this size."""
    from fastreid.config import get_cfg

    from mcja.config import add_mcja_config
    from vireid import add_vireid_config
    from vireid.engine import merge_config
    from vireid.engine.models import build_model

    cfg = get_cfg()
    add_vireid_config(cfg)
    add_mcja_config(cfg)
    merge_config(cfg, "mcja/sysu" if maps else "mcja/sysu_v1", [])
    cfg.MODEL.DEVICE = "cpu"
    cfg.MODEL.BACKBONE.PRETRAIN = False
    cfg.MODEL.HEADS.NUM_CLASSES = identities
    cfg.MODEL.MDA.MODALITIES = max(maps, 1)
    return dict(build_model(cfg).state_dict())
