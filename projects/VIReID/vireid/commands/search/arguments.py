"""Arguments that the commands of ``vireid search`` share: the store, the model, conditions."""

import argparse
import json
import logging
import os
from contextlib import closing
from typing import TYPE_CHECKING, Any

from vireid.errors import ConfigError, UserError

if TYPE_CHECKING:
    from vireid.inference import Embedder, Gallery


def add_store(parser: argparse.ArgumentParser) -> None:
    """Add ``--store``."""
    parser.add_argument(
        "--store",
        required=True,
        metavar="STORE",
        help="a folder; http://host:19530/name for a collection of Milvus; file.db for Milvus Lite; s3://...",
    )


def add_model(parser: argparse.ArgumentParser, needed: str) -> None:
    """Add the arguments of the model.

    Args:
        needed: when they are, for the help.
    """
    group = parser.add_argument_group("model", needed)
    group.add_argument(
        "--config-file", metavar="CONFIG", help="its config: a file, or a name such as pmcm/sysu"
    )
    group.add_argument("--exported", metavar="FILE", help="or a file of vireid export, *.onnx or *.pt")
    group.add_argument("--device", metavar="DEVICE", help="such as cpu or cuda:1 (default: a GPU, if any)")
    parser.add_argument(
        "opts",
        nargs=argparse.REMAINDER,
        metavar="KEY VALUE",
        help="settings that replace those of the config: MODEL.WEIGHTS names the checkpoint",
    )


def add_conditions(parser: argparse.ArgumentParser, verb: str) -> None:
    """Add conditions on images."""
    group = parser.add_argument_group("conditions", "all of those that are given hold")
    group.add_argument("--camera", nargs="+", metavar="C", help=f"{verb} of one of these cameras")
    group.add_argument("--identity", nargs="+", metavar="P", help=f"{verb} of one of these persons")
    group.add_argument("--after", metavar="TIME", help=f"{verb} of this time or later: 2026-01-31T18:30")
    group.add_argument("--before", metavar="TIME", help=f"{verb} from before this time")


def add_modality(parser: argparse.ArgumentParser, default: str) -> None:
    """Add ``--modality``."""
    parser.add_argument(
        "--modality",
        default="auto",
        choices=("visible", "infrared", "auto"),
        help=f"of the images; auto (default): {default}",
    )


def conditions_of(args: argparse.Namespace) -> dict[str, Any]:
    """The conditions as a gallery takes them."""
    return {name: getattr(args, name) for name in ("camera", "identity", "after", "before")}


def opened_gallery(args: argparse.Namespace) -> "Gallery":
    """The store, without a model."""
    from vireid.inference import Gallery

    return Gallery.open(args.store)


def gallery_with_model(args: argparse.Namespace, **options: Any) -> "Gallery":
    """The store with the model that the arguments name, or with the one that has filled it.

    Raises:
        UserError: no model is named, and the store does not know one.
    """
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    from vireid.inference import Gallery

    return Gallery.open(args.store, named_model(args) or stored_model(args), **options)


def named_model(args: argparse.Namespace) -> "Embedder | None":
    """The model that the arguments name, if they name one."""
    from vireid.inference import Embedder

    if args.config_file and args.exported:
        raise ConfigError("--config-file and --exported name two models; give one of them")
    if args.exported:
        if args.opts:
            raise UserError(f"{args.opts[0]} is a setting of a config, and --exported takes none")
        return Embedder.from_exported(args.exported, args.device)
    if args.config_file:
        return Embedder.from_config(args.config_file, device=args.device, opts=args.opts)
    if args.opts:
        raise UserError(f"{args.opts[0]} is a setting of a config, and there is no --config-file")
    return None


def stored_model(args: argparse.Namespace) -> "Embedder":
    """The model by which a store was filled.

    Raises:
        UserError: the store does not say it, or its files are gone.
    """
    from vireid.inference import Embedder
    from vireid.inference.stores import open_store

    name = "name it: --config-file CONFIG ... MODEL.WEIGHTS FILE, or --exported FILE"
    if "://" not in args.store and not os.path.exists(args.store):
        raise UserError(f"{args.store} is no store, and no model is named to make one; {name}")
    with closing(open_store(args.store)) as store:  # each process of torchrun reads it
        about = store.about
    source = json.loads(about.source)
    if not source:
        raise UserError(f"{args.store} does not say which files its model ({about.model}) is made of; {name}")
    file = source.get("path") or source["weights"]
    if not os.path.exists(file):
        raise UserError(f"{args.store} was filled by the model of {file}, and this file is gone; {name}")
    return Embedder.from_source(source, args.device)
