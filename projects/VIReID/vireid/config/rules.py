"""What config keys may hold.

``add_key`` gives a key its default and its rule; ``check_values`` compares a whole config with the rules,
before anything is built. Type, range and length are rules. What depends on several keys, on a dataset or on a
model is checked where it is known (``vireid.engine.checks``).
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from yacs.config import CfgNode

from vireid.errors import ConfigError

LONGEST_TEXT = 1000


@dataclass(frozen=True)
class Rule:
    """What a key may hold.

    Attributes:
        expected: in words, as in "expected a number from 0 to 1".
        holds: whether a value is such.
        examples: values that are such, those at the bounds among them.
    """

    expected: str
    holds: Callable[[Any], bool]
    examples: tuple[Any, ...]


# Rules of all keys that were ever added, by key: a key means the same in every config.
RULES: dict[str, Rule] = {}


def add_key(cfg: CfgNode, key: str, default: Any, rule: Rule | None = None) -> None:
    """Add a key and the groups above it to a config, in place.

    Args:
        key: with dots, such as "INPUT.GRAYSCALE.PROB".
        rule: may be left out for True or False, and for text.

    Raises:
        ValueError: no rule, or the default does not keep it.
    """
    if rule is None and isinstance(default, bool | str):
        rule = flag() if isinstance(default, bool) else text()
    if rule is None or not rule.holds(default):
        raise ValueError(f"{key}: {'give it a rule' if rule is None else f'{default!r} breaks its rule'}")
    *groups, name = key.split(".")
    node = cfg
    for group in groups:
        if group not in node:
            node[group] = type(cfg)()
        node = node[group]
    node[name] = default
    RULES[key] = rule


def check_values(cfg: CfgNode) -> None:
    """Refuse a value outside its rule.

    Raises:
        ConfigError: names the key, its value and what is expected.
    """
    for key, value in leaves(cfg):
        if key in RULES and not RULES[key].holds(value):
            raise ConfigError(f"{key} is {in_short(value)}; expected {RULES[key].expected}")


def in_short(value: Any) -> str:
    """A value as Python writes it, cut to 80 characters."""
    try:
        shown = repr(value)
    except ValueError:  # an integer of thousands of digits
        shown = f"a huge {type(value).__name__}"
    return shown if len(shown) <= 80 else f"{shown[:77]}..."


def leaves(cfg: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(key with dots, value) of each key that is no group, of a config or of its YAML."""
    for key, value in cfg.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def flag() -> Rule:
    """True or False."""
    return Rule("True or False", lambda value: isinstance(value, bool), (True, False))


def text(*, empty: bool = True) -> Rule:
    """One line of text."""
    expected = f"text of {0 if empty else 1} to {LONGEST_TEXT} characters"
    return Rule(
        expected, lambda value: _is_text(value) and (empty or bool(value)), ("" if empty else "a", "é")
    )


def matching(pattern: str, expected: str, *examples: str) -> Rule:
    """Text of a form that a regular expression gives."""
    return Rule(expected, lambda value: _is_text(value) and bool(re.fullmatch(pattern, value)), examples)


def choice(*known: Any) -> Rule:
    """One of some texts or integers."""
    shown = [repr(value) if value == "" else str(value) for value in known]
    expected = " or ".join(filter(None, (", ".join(shown[:-1]), shown[-1])))
    return Rule(expected, lambda value: any(type(value) is type(k) and value == k for k in known), known)


def integer(least: int, most: int) -> Rule:
    """An integer from ``least`` to ``most``."""
    return Rule(
        f"an integer from {least} to {most}",
        lambda value: type(value) is int and least <= value <= most,
        (least, most),
    )


def number(
    least: float, most: float, *, above: bool = False, below: bool = False, or_else: float | None = None
) -> Rule:
    """A number from ``least`` to ``most``.

    Args:
        above: leave ``least`` out.
        below: leave ``most`` out.
        or_else: one more value that is allowed.
    """
    low = f"{'above' if above else 'from'} {_shown(least)}"
    high = (
        ""
        if most == math.inf
        else f"{', below' if below else ', at most' if above else ' to'} {_shown(most)}"
    )
    also = "" if or_else is None else f", or {_shown(or_else)}"

    def holds(value: Any) -> bool:
        if type(value) not in (int, float) or value != value:
            return False
        inside = (value > least if above else value >= least) and (value < most if below else value <= most)
        return inside or value == or_else

    middle = least + (min(most, least + 2) - least) / 2
    ends = (*([] if above else [float(least)]), middle, *([] if below else [float(most)]))
    return Rule(f"a number {low}{high}{also}", holds, ends if or_else is None else (*ends, or_else))


def listing(item: Rule, *lengths: int) -> Rule:
    """A list of which each entry keeps a rule.

    Args:
        lengths: how many entries it may have; any number where there is none.
    """
    count = f"{' or '.join(map(str, lengths))} entries" if lengths else "any length"
    example = [item.examples[-1]] * (lengths[0] if lengths else 2)
    return Rule(
        f"a list of {count}, each {item.expected}",
        lambda value: (
            isinstance(value, list | tuple)
            and (not lengths or len(value) in lengths)
            and all(map(item.holds, value))
        ),
        (example,) if lengths else ([], example),
    )


def names(*, repeated: bool = False) -> Rule:
    """A list of names, maybe empty.

    Args:
        repeated: whether a name may stand in it twice.
    """
    return Rule(
        f"""a list of names{"" if repeated else ", each once"}, such as '["a", "b"]'""",
        lambda value: (
            isinstance(value, list | tuple)
            and all(_is_text(name) and name for name in value)
            and (repeated or len(set(value)) == len(value))
        ),
        ([],),
    )


def bounds(least: float, most: float, *, above: bool = False) -> Rule:
    """A list of two numbers from ``least`` to ``most``, the smaller one first."""
    end = number(least, most, above=above)
    return Rule(
        f"a list of two numbers, the smaller one first, each {end.expected}",
        lambda value: (
            isinstance(value, list | tuple)
            and len(value) == 2
            and all(map(end.holds, value))
            and value[0] <= value[1]
        ),
        ([end.examples[0], end.examples[-1]], [end.examples[0]] * 2),
    )


def size(most: int) -> Rule:
    """[height, width] in pixels."""
    side = integer(1, most)
    return Rule(
        f"[height, width] in pixels, each {side.expected}, such as [288, 144]",
        lambda value: isinstance(value, list | tuple) and len(value) == 2 and all(map(side.holds, value)),
        ([most, 1], [min(64, most), min(32, most)]),
    )


def anything(expected: str, *examples: Any) -> Rule:
    """What the part that reads the key checks itself."""
    return Rule(expected, lambda value: True, examples)


def _is_text(value: Any) -> bool:
    if (
        not isinstance(value, str)
        or len(value) > LONGEST_TEXT
        or any(ord(c) < 32 or ord(c) == 127 for c in value)
    ):
        return False
    try:
        value.encode()  # fails on bytes of a command line that are not UTF-8
    except UnicodeEncodeError:
        return False
    return True


def _shown(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else str(value)
