"""Config keys with their rules, config files, and what a resumed run may change."""

from vireid.config.keys import add_vireid_config

__all__ = ["add_vireid_config"]
