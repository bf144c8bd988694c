"""Draw distances of pairs of images, of one person and of two, with the equal error rate.

All pairs of two different images of the set are counted, each once; those of one camera, too.
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
  vireid show distances --config-file pmcm/sysu --output distances.pdf \\
      MODEL.WEIGHTS logs/sysu/pmcm/model_best.pth
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The model, and what is drawn."""
    add_image_arguments(parser, identities=None)
    add_figure_arguments(parser)


def run(args: argparse.Namespace) -> None:
    """Embed, count, draw."""
    cfg, model = configured_model(args)
    from vireid.visualize.distances import distance_figure
    from vireid.visualize.image_set import embedded_images

    finish(args, distance_figure(embedded_images(cfg, model, **chosen_images(args))))
