"""Draw a map of embeddings by t-SNE or UMAP: colors and numbers are identities, shapes are modalities."""

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
  vireid show embedding --config-file pmcm/sysu --output embedding.pdf --identities 12 \\
      MODEL.WEIGHTS logs/sysu/pmcm/model_best.pth

UMAP needs umap-learn: pip install ".[figures]"
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The model, and what is drawn."""
    parser.add_argument("--method", choices=("t-SNE", "UMAP"), default="t-SNE", help="default: t-SNE")
    add_image_arguments(parser, identities=10)
    add_figure_arguments(parser)


def run(args: argparse.Namespace) -> None:
    """Embed, project, draw."""
    cfg, model = configured_model(args)
    from vireid.visualize.embedding import embedding_figure
    from vireid.visualize.image_set import embedded_images
    from vireid.visualize.style import require

    if args.method == "UMAP":
        require("umap")  # before the images are embedded
    images = embedded_images(cfg, model, **chosen_images(args))
    finish(args, embedding_figure(images, args.method, args.seed))
