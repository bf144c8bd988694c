"""Serve a page in the browser: search a gallery by an image, mix images, see the figures of a run.

Without --store, a small gallery of generated persons is made and a model is trained on others, in a few
minutes; both are kept in --folder and used again the next time. Only this machine can reach the page, unless
--host says otherwise: anyone who can reach it can search the gallery. It answers to the names localhost,
--host and --allow-host.
"""

import argparse
import os
import signal
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vireid.commands.search_arguments import add_model, gallery_with_model

if TYPE_CHECKING:
    from vireid.inference import Gallery
    from vireid.page.figures import RunFigures

EXAMPLES = """
examples:
  a generated gallery:
    vireid page
  one of your own, by the model that has filled the store:
    vireid page --store store --run logs/sysu/pmcm
  the same, naming the model:
    vireid page --store store --config-file pmcm/sysu MODEL.WEIGHTS logs/sysu/pmcm/model_best.pth
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The gallery, and how it is served."""
    parser.add_argument("--store", metavar="STORE", help="of vireid search index (default: a generated one)")
    parser.add_argument(
        "--folder", type=Path, metavar="DIR", help="of the generated one (default: in ~/.cache/fastreid-vi)"
    )
    parser.add_argument("--run", type=Path, metavar="DIR", help="a training's output, for its curves")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default 127.0.0.1)")
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a name or an address by which a browser may call the page, beside localhost and --host; "
        "several times for several",
    )
    parser.add_argument("--port", type=int, help="default: the first free one from 7860")
    parser.add_argument("--max-megabytes", type=int, default=10, help="of an uploaded file (default 10)")
    parser.add_argument("--max-megapixels", type=int, default=25, help="of an uploaded image (default 25)")
    add_model(parser, "needed where the one that filled the store is elsewhere now")


def run(args: argparse.Namespace) -> None:
    """Open or make the gallery, and serve."""
    from vireid.page.limits import Limits
    from vireid.visualize.style import require

    limits = Limits(args.max_megabytes, args.max_megapixels)
    require("gradio", "page")
    starter: Any = None
    if args.store is None:
        from vireid.commands.page_starter import prepare

        starter = prepare(args.folder or cache_folder())
        args.store, args.run = str(starter.store), starter.run
        args.config_file, args.opts = starter.config, ["MODEL.WEIGHTS", str(starter.weights)]
        os.environ["FASTREID_DATASETS"] = str(starter.datasets)
    # As a service is stopped: what visitors have uploaded is removed at exit.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    with gallery_with_model(args) as gallery:
        from vireid.page.app import Content, build_page
        from vireid.page.finder import Finder
        from vireid.page.server import serve

        content = Content(
            Finder(gallery, limits),
            gallery.embedder.network.preprocessing.size,
            figures_of(gallery, args),
            starter.examples if starter else (),
            starter.pair if starter else (),
        )
        page = build_page(content)
        serve(page, host=args.host, port=args.port, names=args.allow_host, limits=limits)


def figures_of(gallery: "Gallery", args: argparse.Namespace) -> "RunFigures":
    """The figures of the model's run; of an exported file, at most its curves."""
    from vireid.engine import full_config
    from vireid.page.figures import RunFigures

    network: Any = gallery.embedder.network
    model = getattr(network, "model", None)
    if model is None or args.config_file is None:
        return RunFigures(args.run, None, None)
    return RunFigures(args.run, full_config(args.config_file, args.opts), model, network.lock)


def cache_folder() -> Path:
    """Where what is generated is kept."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "fastreid-vi" / f"page-{version('fastreid-vi')}"
