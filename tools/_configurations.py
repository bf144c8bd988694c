"""The config of every project, for the tools."""

from fastreid.config import CfgNode, get_cfg

from mcja import add_mcja_config
from pmcm import add_pmcm_config
from vireid import add_vireid_config
from vireid.engine import merge_config


def full_config(config_file: str, opts: list[str]) -> CfgNode:
    """The toolkit's defaults and every project's keys, then the file, then ``KEY VALUE`` pairs.

    Raises:
        ConfigError: see ``vireid.engine.merge_config``.
    """
    cfg = get_cfg()
    add_vireid_config(cfg)
    add_pmcm_config(cfg)
    add_mcja_config(cfg)
    merge_config(cfg, config_file, opts)
    return cfg
