"""Making timm's models: the package, a model for a config, and the image sizes it takes."""

import importlib
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from torch import nn
from yacs.config import CfgNode

from vireid.errors import ConfigError

INSTALL_COMMAND = 'pip install ".[timm]"'


def require_timm() -> Any:
    """The package.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return importlib.import_module("timm")
    except ImportError as error:
        raise ConfigError(
            f"MODEL.BACKBONE.NAME build_timm_backbone needs timm ({error}): {INSTALL_COMMAND}"
        ) from None


def size_options(cfg: CfgNode) -> list[dict[str, Any]]:
    """Arguments to try, in this order, until a model takes INPUT.SIZE_TEST, too: as it is by default; a
    transformer that resizes its position embeddings for each batch; one whose windows fit any size."""
    plain: dict[str, Any] = {}
    if tuple(cfg.INPUT.SIZE_TEST) == tuple(cfg.INPUT.SIZE_TRAIN):
        return [plain]
    return [plain, {"dynamic_img_size": True}, {"strict_img_size": False}]


def create_model(
    cfg: CfgNode, size: tuple[int, int], options: dict[str, Any], **pretrained: Any
) -> nn.Module:
    """timm's model without classifier; what it does not know among ``options`` is left out."""
    settings = cfg.MODEL.BACKBONE.TIMM
    arguments = {"num_classes": 0, **options, **dict(settings.KWARGS)}
    timm = require_timm()
    if ":" not in settings.NAME:
        about = timm.get_pretrained_cfg(settings.NAME)
        if about is not None and about.fixed_input_size:  # so timm says that it takes img_size
            arguments.setdefault("img_size", size)
    try:
        model: nn.Module = timm.create_model(settings.NAME, **arguments, **pretrained)
    except TypeError as error:
        unknown = [name for name in options if f"'{name}'" in str(error)]
        if not unknown:
            raise
        options = {name: value for name, value in options.items() if name not in unknown}
        return create_model(cfg, size, options, **pretrained)
    return model


def create_or_explain(cfg: CfgNode, size: tuple[int, int], options: dict[str, Any]) -> nn.Module:
    """``create_model``, whose failures become a ConfigError."""
    settings = cfg.MODEL.BACKBONE.TIMM
    if any(not isinstance(pair, list | tuple) or len(pair) != 2 for pair in settings.KWARGS):
        raise ConfigError(
            f"MODEL.BACKBONE.TIMM.KWARGS is {settings.KWARGS}; expected pairs, such as "
            "[['drop_path_rate', 0.1]]"
        )
    try:
        return create_model(cfg, size, options)
    except Exception as error:  # timm's models fail in their own ways
        raise ConfigError(
            f"timm cannot build {settings.NAME} for images of {size[0]}x{size[1]} with KWARGS "
            f"{settings.KWARGS}: {in_short(error)}"
        ) from None


@contextmanager
def offline_if_unreachable() -> Iterator[None]:
    """Tell the hub's client that it is offline where its host cannot be reached.

    It then takes what it has on disk, or fails at once. Otherwise it asks again for half a minute.
    """
    constants: Any = importlib.import_module("huggingface_hub.constants")
    before = constants.HF_HUB_OFFLINE
    host = urlsplit(constants.ENDPOINT)
    if not before and not getproxies().get(host.scheme):
        try:
            socket.create_connection((host.hostname, host.port or 443), timeout=5).close()
        except OSError:
            constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def size_advice(model: nn.Module) -> str:
    """Which image sizes a model takes."""
    patch: Any = getattr(getattr(model, "patch_embed", None), "patch_size", None)
    if patch is None:
        return "choose another size or model"
    height, width = patch if isinstance(patch, list | tuple) else (patch, patch)
    return f"its patches are {height}x{width}: choose multiples of them, or another model"


def in_short(error: Exception) -> str:
    """An error's message in one line of at most 300 characters."""
    text = " ".join(str(error).split())
    return (text if len(text) < 300 else f"{text[:300]} ...") or type(error).__name__
