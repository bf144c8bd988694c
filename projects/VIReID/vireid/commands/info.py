"""Show what a config's model is made of, and what it costs.

Parameters, the modules that each modality has of its own, feature map and embedding, FLOPs of an image of
each modality, memory and speed of a forward pass. Weights are random, and nothing is read or downloaded: no
figure depends on them.
"""

import argparse
import json
import logging
from typing import Any

from vireid.commands.arguments import add_config_arguments

EXAMPLES = """
examples:
  vireid info --config-file pmcm/sysu
  vireid info --json --config-file mcja/sysu \\
      MODEL.BACKBONE.NAME build_osnet_backbone MODEL.BACKBONE.DEPTH x1_0
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The model, and how it is measured."""
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument(
        "--seconds", type=float, default=2.0, metavar="S", help="how long each speed is measured (default 2)"
    )
    add_config_arguments(parser)


def run(args: argparse.Namespace) -> None:
    """Measure and print."""
    from vireid.engine import full_config
    from vireid.engine.costs import model_costs

    logging.basicConfig(level=logging.WARNING)
    info = model_costs(full_config(args.config_file, args.opts), args.seconds)
    print(json.dumps(info, indent=2) if args.json else table(info))


def table(info: dict[str, Any]) -> str:
    """The same for reading."""
    from tabulate import tabulate

    height, width = info["image_size"]
    rows = [
        ("backbone", info["backbone"]),
        ("image", f"{height} x {width}"),
        ("feature map", " x ".join(map(str, info["feature_map"])) + " (channels, rows, columns)"),
        ("embedding", info["embedding"]),
        ("modality-specific", ", ".join(info["modality_specific"]) or "none: one stream"),
        *((f"parameters, {name}", f"{count / 1e6:.3f} M") for name, count in info["parameters"].items()),
        *((f"FLOPs, {name} image", f"{count / 1e9:.3f} G") for name, count in info["flops"].items()),
        ("device", info["device"]),
        *(
            (f"batch of {count}", f"{found['images_per_second']} images/s, {found['memory_mib']} MiB")
            for count, found in info["batches"].items()
        ),
    ]
    return str(tabulate(rows, tablefmt="plain"))
