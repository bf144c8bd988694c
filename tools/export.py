#!/usr/bin/env python
"""Write a trained model for other runtimes: TorchScript, ONNX and safetensors.

Every file is run and compared with PyTorch before it gets its name; one that disagrees is not left.
"""

import _checkout  # noqa: F401  isort: skip  (finds the packages in a checkout)

import argparse
import logging
import sys

from vireid.engine.export import EXPORTERS, FORMATS, INPUT_TYPES, MODALITIES

EPILOG = """
input "images": (N, 3, H, W) RGB in 0..255, resized to INPUT.SIZE_TEST; any N. Normalization, stems, trunk,
head and neck are in the graph; the output "embeddings" is (N, D), to be compared by cosine.

--modality visible or infrared keeps that modality's stem alone: the smallest and fastest graph. both adds the
input "modalities": (N,) int64, 0 visible, 1 infrared, in any order; each stem then computes all images, and
the right one is kept, which costs one more pass through the stem (not the trunk).

examples:
  both modalities, all formats:
    python tools/export.py --config-file projects/PMCM/configs/sysu.yml --output exported \\
        MODEL.WEIGHTS logs/sysu/pmcm/model_best.pth
  the gallery's side alone, as ONNX that takes bytes:
    python tools/export.py --config-file projects/PMCM/configs/sysu.yml --output exported \\
        --format onnx --modality visible --input uint8 MODEL.WEIGHTS logs/sysu/pmcm/model_best.pth
"""


def main() -> int:
    """Export; the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config-file", required=True, metavar="FILE", help="the config of the model")
    parser.add_argument("--output", required=True, metavar="DIR", help="where the files go")
    parser.add_argument(
        "--format", nargs="+", choices=FORMATS, default=list(FORMATS), help="default: all of them"
    )
    parser.add_argument("--modality", choices=MODALITIES, default="both", help="of the images (default both)")
    parser.add_argument(
        "--input",
        choices=sorted(INPUT_TYPES),
        default="float32",
        help="type of ONNX's images (default float32); TorchScript takes both",
    )
    parser.add_argument(
        "--exporter", choices=EXPORTERS, default="trace", help="of ONNX: PyTorch's older or newer one"
    )
    parser.add_argument("--opset", type=int, default=0, metavar="N", help="of ONNX (default 17; dynamo: 18)")
    parser.add_argument(
        "--tolerance",
        type=float,
        default=1e-4,
        metavar="T",
        help="largest difference from PyTorch, as a share of the largest value above 1 (default 1e-4)",
    )
    parser.add_argument("opts", nargs=argparse.REMAINDER, help="config options: KEY VALUE ...")
    args = parser.parse_args()

    from vireid.errors import UserError

    try:
        export(args)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def export(args: argparse.Namespace) -> None:
    """Build the model, load its weights, export it."""
    from _configurations import full_config
    from vireid.engine import load_for_evaluation
    from vireid.engine.checkpoint import read_checkpoint
    from vireid.engine.checks import check_config
    from vireid.engine.export import export_model, require_packages
    from vireid.preprocessing import Preprocessing

    logging.basicConfig(level=logging.WARNING)
    require_packages(tuple(args.format), args.exporter)
    cfg = full_config(args.config_file, args.opts)
    cfg.MODEL.DEVICE = "cpu"
    cfg.DATASETS.TESTS = ()  # the checkpoint's own record of its split goes with the weights
    check_config(cfg)
    about: dict[str, object] = {}
    if cfg.MODEL.WEIGHTS:
        checkpoint = read_checkpoint(cfg.MODEL.WEIGHTS)
        about = {key: checkpoint[key] for key in ("num_classes", "datasets", "epoch") if key in checkpoint}
    record = export_model(
        load_for_evaluation(cfg),
        args.output,
        Preprocessing.from_config(cfg),
        formats=tuple(args.format),
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


if __name__ == "__main__":
    sys.exit(main())
