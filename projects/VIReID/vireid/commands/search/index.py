"""Embed the images below a folder into a store that can be searched.

What is in the store already is not embedded again, unless its file has changed or --table or --modality says
something else of it: a run that was stopped goes on where it was, and the same command takes up new images. A
file that is no image is named, skipped and counted.
"""

import argparse
import sys
from pathlib import Path

from vireid.commands.search.arguments import add_modality, add_model, add_store, gallery_with_model
from vireid.errors import UserError

EXAMPLES = """
what is known of an image: --table FILE.csv, with the columns path (from DIR) and some of identity, camera,
time and modality; else names:
  identity and camera   0002_c1s1_000451_03.jpg (Market-1501, LLCM), or the folders cam3/0002/ (SYSU-MM01)
  modality              visible, vis, rgb, infrared, nir, thermal in a folder's name, or at the end of the
                        file's; else infrared where the three channels are equal
  time                  20260131_183000 in the file's name; else EXIF data; else that of the file

examples:
  a folder of images, and a model:
    vireid search index --gallery photos --store store --config-file pmcm/sysu \\
        MODEL.WEIGHTS logs/sysu/pmcm/model_best.pth
  with an exported model, without FastReID:
    vireid search index --gallery photos --store store --exported exported/model-both.onnx
  four GPUs, into Milvus:
    torchrun --nproc_per_node 4 -m vireid search index --gallery photos --store http://host:19530/campus \\
        --config-file pmcm/sysu MODEL.WEIGHTS logs/sysu/pmcm/model_best.pth
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The gallery, the store and the model."""
    parser.add_argument("--gallery", required=True, metavar="DIR", help="the folder of the images")
    add_store(parser)
    parser.add_argument("--table", metavar="FILE.csv", help="what is known of the images")
    add_modality(parser, "what the table or a name says, else as the image looks")
    parser.add_argument(
        "--exact-up-to",
        type=int,
        metavar="N",
        help="images up to which a search compares every vector; above, it is approximate (default 5,000)",
    )
    add_model(parser, "needed for a new store")


def run(args: argparse.Namespace) -> None:
    """Index, and say what was done."""
    if not Path(args.gallery).is_dir():  # before the model is built
        raise UserError(f"{args.gallery} is no folder; --gallery names the folder of the images")
    with gallery_with_model(args, exact_up_to=args.exact_up_to) as gallery:
        found = gallery.index(args.gallery, table=args.table, modality=args.modality, progress=True)
        if not gallery.is_kept_here:
            return
        print(*found.levels, sep="\n", end="\n" * bool(found.levels), file=sys.stderr)
        others = f"; {found.others} other files" if found.others else ""
        print(
            f"{args.store}: {found.added} images added, {found.replaced} replaced, {found.kept} were there, "
            f"{len(found.skipped)} skipped{others}"
        )


def interrupted(args: argparse.Namespace) -> str:
    """What is in the store."""
    return "; the same command goes on where it was"
