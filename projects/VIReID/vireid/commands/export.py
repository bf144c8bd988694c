"""Write a trained model for other runtimes: TorchScript, ONNX and safetensors.

Every file is run and compared with PyTorch before it gets its name; one that disagrees is not left.
"""

import argparse
import logging

from vireid.commands.arguments import add_config_arguments

EXAMPLES = """
input "images": (N, 3, H, W) RGB in 0..255, resized to INPUT.SIZE_TEST; any N. Normalization, stems, trunk,
head and neck are in the graph; the output "embeddings" is (N, D), to be compared by cosine.

--modality visible or infrared keeps that modality's stem alone: the smallest and fastest graph. both adds the
input "modalities": (N,) int64, 0 visible, 1 infrared, in any order; each stem then computes all images, and
the right one is kept, which costs one more pass through the stem (not the trunk).

examples:
  both modalities, all formats:
    vireid export --config-file pmcm/sysu --output exported \\
        MODEL.WEIGHTS logs/sysu/pmcm/model_best.pth
  the gallery's side alone, as ONNX that takes bytes:
    vireid export --config-file pmcm/sysu --output exported \\
        --format onnx --modality visible --input uint8 MODEL.WEIGHTS logs/sysu/pmcm/model_best.pth
  the infrared stream of the baseline for FastReID's own calls:
    vireid export --config-file vireid/sysu --output exported \\
        --toolkit-checkpoint --modality infrared MODEL.WEIGHTS logs/sysu/agw/model_best.pth
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The model, and what is written of it."""
    parser.add_argument("--output", required=True, metavar="DIR", help="where the files go")
    parser.add_argument(
        "--format",
        nargs="+",
        metavar="FORMAT",
        help="torchscript, onnx, safetensors (default: all of them)",
    )
    parser.add_argument(
        "--modality", default="both", metavar="M", help="of the images: visible, infrared or both (default)"
    )
    parser.add_argument(
        "--input",
        default="float32",
        metavar="TYPE",
        help="type of ONNX's images: float32 (default) or uint8; TorchScript takes both",
    )
    parser.add_argument(
        "--exporter",
        default="trace",
        metavar="NAME",
        help="of ONNX: trace (default), PyTorch's older one, or dynamo, its newer one",
    )
    parser.add_argument("--opset", type=int, default=0, metavar="N", help="of ONNX (default 17; dynamo: 18)")
    parser.add_argument(
        "--tolerance",
        type=float,
        default=1e-4,
        metavar="T",
        help="largest difference from PyTorch, as a share of the largest value above 1 (default 1e-4)",
    )
    parser.add_argument(
        "--toolkit-checkpoint",
        action="store_true",
        help="write instead a checkpoint and a config of FastReID's own, of the stream of --modality",
    )
    add_config_arguments(parser)


def run(args: argparse.Namespace) -> None:
    """Build the model, load its weights, export it."""
    from vireid.engine import full_config, load_for_evaluation
    from vireid.engine.checkpoints.checkpoint import read_checkpoint
    from vireid.engine.checks import check_config
    from vireid.export.model import FORMATS, export_model, require_packages
    from vireid.export.toolkit_checkpoint import write_toolkit_checkpoint
    from vireid.preprocessing import Preprocessing

    logging.basicConfig(level=logging.WARNING)
    formats = () if args.toolkit_checkpoint else tuple(args.format or FORMATS)
    require_packages(formats, args.exporter)
    cfg = full_config(args.config_file, args.opts)
    cfg.MODEL.DEVICE = "cpu"
    cfg.DATASETS.TESTS = ()  # the checkpoint's own record of its split goes with the weights
    check_config(cfg)
    if args.toolkit_checkpoint:
        path, difference = write_toolkit_checkpoint(
            cfg, load_for_evaluation(cfg).eval(), args.output, args.modality
        )
        print(f"{path} and {path.stem}.yml: max difference {difference:.2g}")
        return
    about: dict[str, object] = {}
    if cfg.MODEL.WEIGHTS:
        checkpoint = read_checkpoint(cfg.MODEL.WEIGHTS)
        about = {key: checkpoint[key] for key in ("num_classes", "datasets", "epoch") if key in checkpoint}
    record = export_model(
        load_for_evaluation(cfg),
        args.output,
        Preprocessing.from_config(cfg),
        formats=formats,
        modality=args.modality,
        input_type=args.input,
        exporter=args.exporter,
        opset=args.opset,
        tolerance=args.tolerance,
        about=about,
    )
    for name, file in record["files"].items():
        print(
            f"{args.output}/{name}: {file['bytes'] / 1e6:.1f} MB, max difference {file['max_difference']:.2g}"
        )
