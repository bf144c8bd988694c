"""What is changed in the toolkit: each change with its target and its cause, switched on and off as one."""

import functools
import pkgutil
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])
TOOLKIT = "fastreid"


class Patch:
    """One change.

    Args:
        target: what is provided or replaced, as "module:name" or "module:Class.name".
        cause: what happens without it.
        function: of ``replaces``: stands in for the target, which is its first argument. Else: makes the
            change.
    """

    def __init__(self, target: str, cause: str, function: Callable[..., Any]) -> None:
        self.target, self.cause, self.function = target, cause, function
        self._states: tuple[Any, Any] | None = None

    def switch(self, on: bool) -> None:
        """Put the replacement in the place of the original, or back, wherever the toolkit and the program
        have imported it."""
        module, _, path = self.target.partition(":")
        above, _, name = path.rpartition(".")
        owner = pkgutil.resolve_name(f"{module}:{above}")
        if self._states is None:
            self._states = vars(owner)[name], self._replacement(vars(owner)[name])
        old, new = self._states if on else self._states[::-1]
        setattr(owner, name, new)
        if isinstance(owner, ModuleType) and self._states[0].__module__ == module:
            for other in [m for key, m in sys.modules.items() if key.split(".")[0] in (TOOLKIT, "__main__")]:
                for key in [key for key, value in vars(other).items() if value is old]:
                    setattr(other, key, new)

    def _replacement(self, raw: Any) -> Any:
        original, function = getattr(raw, "__func__", raw), self.function

        @functools.wraps(original, updated=())
        def replacement(*args: Any, **kwargs: Any) -> Any:
            return function(original, *args, **kwargs)

        return type(raw)(replacement) if isinstance(raw, classmethod | staticmethod) else replacement


def _decorator(patches: list[Patch]) -> Callable[[str, str], Callable[[Function], Function]]:
    def patch(target: str, cause: str) -> Callable[[Function], Function]:
        def add(function: Function) -> Function:
            patches.append(Patch(target, cause, function))
            return function

        return add

    return patch


PROVIDED: list[Patch] = []
CORRECTED: list[Patch] = []
REPLACED: list[Patch] = []
provides = _decorator(PROVIDED)  # makes the target, without which the toolkit cannot be imported
corrects = _decorator(CORRECTED)  # changes the target in place, once the toolkit is imported
replaces = _decorator(REPLACED)  # stands in for the target: takes the original, then the arguments
