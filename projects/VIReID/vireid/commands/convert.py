"""Convert a checkpoint of a published code for this project, or the reverse."""

import argparse
from pathlib import Path

from vireid.errors import UserError, choices

EXAMPLES = """
The codes, all with a ResNet-50: agw and caj (mangye16/Cross-Modal-Re-ID-baseline), deen (ZYK100/LLCM) and
mcja (workingcoder/MCJA). What a published network saves and never calls is dropped; the reverse writes zeros
there. Optimizer and epoch are not converted.

The classes of mcja are the identities of SYSU-MM01's train_id.txt as they stand there, then those of
val_id.txt; here, and in the other codes, they are the same identities in ascending order. Embeddings do not
depend on it. A training that goes on from the checkpoint does: let --identities reorder the classifier.

examples:
  vireid convert --from agw sysu_agw_p4_n8_lr_0.1_seed_0_best.t agw_sysu.pth
  vireid convert --from mcja official_sysu.pth mcja_sysu.pth --identities datasets/SYSU-MM01/exp
  vireid convert --from deen regdb_deen_p4_n6_lr_0.1_seed_0_trial_1_best.t deen_regdb_1.pth --regdb-split 1
  vireid convert --from mcja --reverse logs/sysu/mcja/model_best.pth official.pth
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is converted."""
    parser.add_argument("checkpoint", type=Path, metavar="OFFICIAL.pth", help="what is converted")
    parser.add_argument("output", type=Path, metavar="OUT.pth", help="where it goes")
    parser.add_argument("--from", dest="code", required=True, metavar="CODE", help="whose checkpoint it is")
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
    import torch

    from vireid.engine import full_config
    from vireid.files import write_atomically
    from vireid.modeling import published
    from vireid.modeling.weight_files import read_state_dict
    from vireid.registries import PUBLISHED_REGISTRY

    full_config("")  # imports the methods, which register their codes
    codes = {kind.name: kind() for kind in PUBLISHED_REGISTRY.values()}
    if args.code not in codes:
        raise UserError(f"--from is {args.code!r}; {choices(args.code, codes)}")
    code = codes[args.code]
    if not args.output.resolve().parent.is_dir():
        raise UserError(
            f"there is no folder {args.output.resolve().parent} for {args.output.name}; create it"
        )
    source = str(args.checkpoint)
    order = code.class_order(args.identities) if args.identities else None
    weights = {
        name.removeprefix("module."): value for name, value in read_state_dict(source, "checkpoint").items()
    }
    own = published.model_state(code, weights, source)
    content: dict[str, object]
    if args.reverse:
        published.require_fit(weights, own, source, code)
        if order:
            weights = published.with_published_classes(weights, order, source)
        converted = published.to_published(code, weights, own, source)
        content = {code.wrapper: converted} if code.wrapper else {**converted}
    else:
        model = published.from_published(code, weights, own, source)
        if order:
            model = published.with_own_classes(model, order, source)
        content = {"model": model, "num_classes": len(model[published.OWN_CLASSIFIER])}
        if args.regdb_split:
            content["datasets"] = {"RegDB": {"split": args.regdb_split}}
    write_atomically(args.output, lambda file: torch.save(content, file))
    recipe, *settings = code.settings(weights)
    print(f"{args.output}: {len(own)} tensors, for {' '.join([recipe, *settings])}")
    orders = ("this project's", "the published") if args.reverse else ("the published", "this project's")
    if order:
        print(f"classifier: from {orders[0]} order of identities to {orders[1]}")
    elif not code.classes_ascend:
        print(
            f"classifier: left in {orders[0]} order of identities; training must not go on from it "
            "(SYSU-MM01: --identities reorders it)"
        )
