"""YAML files of plain values, each key once, of a size that a config has."""

from pathlib import Path
from typing import Any

import yaml

from vireid.errors import ConfigError
from vireid.files import fault_of_file

MOST_BYTES = 1 << 20
MOST_VALUES = 10_000  # also those that anchors repeat
MOST_LEVELS = 20
PLAIN = (str, int, float, bool, type(None))


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice in one mapping: the first value would be lost."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for key, _ in reversed(node.value):
            if isinstance(key, yaml.ScalarNode) and key.value != "<<" and keys.count(key.value) > 1:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value} stands twice in one group", key.start_mark
                )
        return super().construct_mapping(node, deep)  # type: ignore[no-any-return]


def read_yaml(path: Path) -> dict[str, Any]:
    """The keys of a YAML file.

    Raises:
        ConfigError: it cannot be read, is no YAML, holds no keys, one of them twice, something that is no
            text, number, True, False, list or group, or too much.
    """
    fault = fault_of_file(path, MOST_BYTES)
    if fault:
        raise ConfigError(f"{path} {fault}")
    try:
        tree = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except RecursionError:
        raise ConfigError(f"{path} is nested more than {MOST_LEVELS} levels deep") from None
    except (yaml.YAMLError, ValueError, ArithmeticError, TypeError) as error:  # ValueError: the 40th of May
        reason = " ".join(str(error).replace('in "<unicode string>", ', "in ").split())
        raise ConfigError(f"{path} is not YAML: {reason[:400]}") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
    if not isinstance(tree, dict):
        raise ConfigError(f"{path} holds no keys")
    _check(tree, path)
    return tree


def _check(tree: dict[Any, Any], path: Path) -> None:
    values = 0
    waiting: list[tuple[str, Any, int]] = [("", tree, 0)]
    while waiting:
        name, value, level = waiting.pop()
        values += 1
        if values > MOST_VALUES:
            raise ConfigError(f"{path} holds more than {MOST_VALUES} values, anchors included")
        if level > MOST_LEVELS:
            raise ConfigError(f"{path} is nested more than {MOST_LEVELS} levels deep")
        if isinstance(value, dict):
            for key, inner in value.items():
                if not isinstance(key, str):
                    raise ConfigError(f"{path}: the key {key!r} is no text ({type(key).__name__})")
                waiting.append((f"{name}.{key}".lstrip("."), inner, level + 1))
        elif isinstance(value, list):
            waiting.extend((name, inner, level + 1) for inner in value)
        elif not isinstance(value, PLAIN):
            raise ConfigError(
                f"{path}: {name} is {value} ({type(value).__name__}); expected text, a number, True or "
                "False, or a list: put text in quotes"
            )
