"""Draw where embeddings look, on a visible and an infrared image of one person side by side.

Grad-CAM shows the places of the last feature map that make the two embeddings alike. Attention rollout shows
which patches reach a vision transformer's embedding through all of its blocks. Occlusion shows the parts of
the image without which the two embeddings are less alike, for any backbone.
"""

import argparse

from vireid.commands.show.pictures import (
    add_figure_arguments,
    add_image_arguments,
    chosen_images,
    configured_model,
    finish,
)

EXAMPLES = """
example:
  vireid show attention --config-file pmcm/sysu --output attention.png --pids 6 10 17 21 \\
      MODEL.WEIGHTS logs/sysu/pmcm/model_best.pth
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The model, and what is drawn."""
    parser.add_argument(
        "--method",
        choices=("auto", "grad-cam", "rollout", "occlusion"),
        default="auto",
        help="auto: rollout where all tokens attend to each other in every block, else Grad-CAM (default)",
    )
    add_image_arguments(parser, identities=4)
    add_figure_arguments(parser)


def run(args: argparse.Namespace) -> None:
    """Compute the maps, draw."""
    cfg, model = configured_model(args)
    from vireid.visualize.attention_pairs import attention_figure

    finish(args, attention_figure(cfg, model, method=args.method, **chosen_images(args)))
