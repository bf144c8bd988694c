"""Serve a page in the browser: search a gallery by an image, mix images, see the figures of a run.

Without --store, a small gallery of generated persons is made, kept in --folder, and used again the next time;
its model knows generated persons only. Only this machine can reach the page, unless
--host says otherwise: anyone who can reach it can search the gallery. It answers to the names localhost,
--host and --allow-host.
"""

import argparse
import os
import re
import signal
import sys
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vireid.command_line import number_from
from vireid.commands.page_starter import prepare
from vireid.commands.search.arguments import add_model, gallery_with_model

if TYPE_CHECKING:
    from vireid.inference import Gallery
    from vireid.page.run_pictures import RunPictures

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
    """Add the gallery, and how it is served."""
    parser.add_argument("--store", metavar="STORE", help="of vireid search index (default: a generated one)")
    parser.add_argument(
        "--folder", type=Path, metavar="DIR", help="of the generated one (default: in ~/.cache/fastreid-vi)"
    )
    parser.add_argument("--run", type=Path, metavar="DIR", help="a training's output, for its curves")
    parser.add_argument(
        "--host",
        type=host_name,
        default="127.0.0.1",
        help="the address to listen on (default 127.0.0.1); 0.0.0.0: all of this machine",
    )
    parser.add_argument(
        "--allow-host",
        type=host_name,
        action="append",
        default=[],
        metavar="NAME",
        help="another name or address by which browsers call the page, beside localhost; may be repeated",
    )
    parser.add_argument("--port", type=number_from(0), help="default: the first free one from 7860")
    for name, default, of in (("--max-megabytes", 10, "file"), ("--max-megapixels", 25, "image")):
        parser.add_argument(
            name, type=number_from(1), default=default, help=f"of an uploaded {of} (default {default})"
        )
    add_model(parser, "needed where the one that filled the store is elsewhere now")


def host_name(text: str) -> str:
    """The type of an argument that is a host's name or address, without a port."""
    if not re.fullmatch(r"[\w.-]+|\[?[0-9a-fA-F]*:[0-9a-fA-F:.]+\]?", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"{text!r} is no host, such as page.example, 192.0.2.1 or ::1")
    return text


def run(args: argparse.Namespace) -> None:
    """Open or make the gallery, and serve."""
    from vireid.visualize.style import require

    require("gradio", "page")
    from vireid.page.app import Content, build_page
    from vireid.page.finder import Finder
    from vireid.page.server import EVERYWHERE, listen, serve
    from vireid.page.uploads import Limits

    limits = Limits(args.max_megabytes, args.max_megapixels)
    starter = gallery = None
    # As a service is stopped: what visitors have uploaded is removed at exit.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    with closing(listen(args.host, args.port)) as listening:
        if args.host in EVERYWHERE and not args.allow_host:
            print("The page answers to localhost alone; --allow-host names this machine for others")
        if args.store is None:
            starter, gallery = prepare(args.folder or cache_folder())
            args.run = args.run or starter.run
            args.config_file, args.opts = starter.config, ["MODEL.WEIGHTS", str(starter.weights)]
            os.environ["FASTREID_DATASETS"] = str(starter.datasets)
        with gallery_with_model(args) if gallery is None else gallery as gallery:
            content = Content(
                Finder(gallery, limits),
                gallery.embedder.network.preprocessing.size,
                pictures_of(gallery, args),
                starter.examples if starter else (),
                starter.pair if starter else (),
            )
            serve(build_page(content), listening, names=[args.host, *args.allow_host], limits=limits)


def pictures_of(gallery: "Gallery", args: argparse.Namespace) -> "RunPictures":
    """Find what draws pictures of the model's run; of an exported file, at most its curves."""
    from vireid.engine import full_config
    from vireid.page.run_pictures import RunPictures

    network: Any = gallery.embedder.network
    model = getattr(network, "model", None)
    if model is None or args.config_file is None:
        return RunPictures(args.run)
    return RunPictures(args.run, full_config(args.config_file, args.opts), model, network.lock)


def cache_folder() -> Path:
    """Where what is generated is kept."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "fastreid-vi" / f"page-{version('fastreid-vi')}"
