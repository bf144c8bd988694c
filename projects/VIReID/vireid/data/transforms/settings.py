"""What transforms read from a config."""

from typing import Any

from vireid.errors import ConfigError


def probability(cfg: Any, key: str) -> float:
    """INPUT.<key>.PROB; ConfigError outside 0..1."""
    value = cfg.INPUT[key].PROB
    if not 0 <= value <= 1:
        raise ConfigError(f"INPUT.{key}.PROB is {value}; expected a probability, 0 to 1")
    return float(value)
