"""Recipes of the toolkit's own, beside those of this plugin: whose defaults and whose keys count."""

from fastreid.config import get_cfg
from yacs.config import CfgNode

from vireid import host
from vireid.config.keys import add_vireid_config
from vireid.config.plugins import add_methods, adders
from vireid.config.rules import in_short, leaves
from vireid.errors import ConfigError

ARCHITECTURE = "MODEL.META_ARCHITECTURE"
READ_ANYHOW = ("SEED", "PLUGINS", "MODEL.BACKBONE.")  # keys and groups: our backbones serve any recipe


def choose_defaults(cfg: CfgNode, architecture: str, sampler: str) -> None:
    """Put the toolkit's defaults back where this plugin has changed them, for a recipe of the toolkit's.

    Args:
        architecture, sampler: MODEL.META_ARCHITECTURE and DATALOADER.SAMPLER_TRAIN of the recipe.
    """
    if "SEED" not in cfg or host.is_vireid(cfg, architecture, sampler):
        return
    theirs, ours, now = (dict(leaves(one)) for one in (get_cfg(), _extended(get_cfg()), cfg))
    for key, value in theirs.items():
        if key != "MODEL.DEVICE" and value != ours[key] == now[key]:
            cfg.merge_from_list([key, value])


def refuse_our_keys(cfg: CfgNode) -> None:
    """Refuse keys of this plugin and the methods in a recipe of the toolkit's, where they have no effect.

    Raises:
        ConfigError: names one.
    """
    theirs, defaults = dict(leaves(get_cfg())), dict(leaves(_extended(get_cfg())))
    for key, value in leaves(cfg):
        if key in theirs or key.startswith(READ_ANYHOW):
            continue
        if value != defaults.get(key, value):
            raise ConfigError(
                f"{key} is {in_short(value)}, and has no effect with {ARCHITECTURE} "
                f"{cfg.MODEL.META_ARCHITECTURE}, a recipe of the toolkit's; leave it out, or set VIReID"
            )


def adder_of(key: str) -> str:
    """What to do about a key, or a group of keys, that a function adds which was not called; "" for none."""
    cfg = get_cfg()
    for name, add_config in (("vireid.add_vireid_config", add_vireid_config), *adders()):
        add_config(cfg)
        if any(f"{known}.".startswith(f"{key}.") for known, _ in leaves(cfg)):
            return f"call {name}(cfg) first"
    return ""


def _extended(cfg: CfgNode) -> CfgNode:
    add_vireid_config(cfg)
    add_methods(cfg)
    return cfg
