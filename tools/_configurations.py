"""The config of every project, for the tools."""

from vireid.engine import full_config

__all__ = ["full_config"]
