"""Registries of parts by name, and the one way to look a part up.

The contract of every part: a decorator registers it where it is defined, a config key names it, and
``from_config(cfg)`` builds it.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from vireid.errors import ConfigError, choices

Part = TypeVar("Part", bound=type)


class Registry(Mapping[str, Any]):
    """Parts of one kind, by class name; used as the toolkit's registries are.

    Args:
        kind: what the parts are, for messages: "loss".
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._parts: dict[str, Any] = {}

    def register(self) -> Callable[[Part], Part]:
        """Decorate a class: the registry holds it under its name.

        Raises:
            ValueError: another part has that name.
        """

        def add(part: Part) -> Part:
            if part.__name__ in self._parts:
                raise ValueError(f"there is already a {self.kind} named {part.__name__}")
            self._parts[part.__name__] = part
            return part

        return add

    def __getitem__(self, name: str) -> Any:
        return self._parts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)


TRANSFORM_REGISTRY = Registry("transform")
SAMPLER_REGISTRY = Registry("sampler")
BATCH_TRANSFORM_REGISTRY = Registry("batch transform")
ADAPTER_REGISTRY = Registry("adapter")
LOSS_REGISTRY = Registry("loss")
RERANKER_REGISTRY = Registry("re-ranker")
PUBLISHED_REGISTRY = Registry("published code")


def find(registry: Any, name: str, key: str) -> Any:
    """The part that a config key names.

    Args:
        registry: one of ours or the toolkit's.
        name: the value of the key, or one entry of it.
        key: the config key, for the message.

    Raises:
        ConfigError: there is no such part; the message has the nearest name, and all names.
    """
    parts = registry if isinstance(registry, Registry) else registry._obj_map
    if name not in parts:
        raise ConfigError(f"{key} names {name!r}; {choices(name, parts)}")
    return parts[name]
