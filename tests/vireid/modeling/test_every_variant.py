"""The whole matrix of backbones, ``make test-all``: it rewrites the table in docs/backbones.md."""

from pathlib import Path

import pytest

from backbone_matrix import METHODS, Outcome, Variant, run
from vireid.modeling.families import FAMILIES

pytestmark = pytest.mark.full

TABLE = Path(__file__).parents[3] / "docs" / "backbones.md"
START, END = "<!-- matrix -->", "<!-- /matrix -->"

# Options of the families that have any; every depth is run without them, too.
WITH_OPTIONS = [
    *(Variant("resnet", depth, (option,)) for depth in ("18x", "34x") for option in ("WITH_IBN", "WITH_SE")),
    *(
        Variant("resnet", depth, options)
        for depth in ("50x", "101x")
        for options in (("WITH_IBN",), ("WITH_SE",), ("WITH_NL",), ("WITH_IBN", "WITH_SE", "WITH_NL"))
    ),
    *(
        Variant("resnext", depth, options)
        for depth in ("50x", "101x")
        for options in (("WITH_IBN",), ("WITH_NL",))
    ),
    *(Variant("osnet", depth, ("WITH_IBN",)) for depth in FAMILIES["build_osnet_backbone"].depths),
]
PLAIN = [
    Variant(name.removeprefix("build_").removesuffix("_backbone"), depth)
    for name, family in FAMILIES.items()
    if name != "build_small_resnet_backbone"
    for depth in family.depths
]
FAMILY_ORDER = list(dict.fromkeys(variant.family for variant in PLAIN))
VARIANTS = sorted(PLAIN + WITH_OPTIONS, key=lambda variant: FAMILY_ORDER.index(variant.family))


@pytest.fixture(scope="module")
def outcomes():
    """What each run came to; when all are done, the table."""
    found: dict[tuple[Variant, str], Outcome | str] = {}
    yield found
    if len(found) == len(VARIANTS) * len(METHODS):
        text = TABLE.read_text()
        head, tail = text[: text.index(START)], text[text.index(END) :]
        TABLE.write_text(f"{head}{START}\n{table(found)}{tail}")


def table(outcomes) -> str:
    """Markdown: a row for each variant, a column for each method, and the reasons below."""
    reasons: list[str] = []
    lines = [
        f"| backbone | DEPTH | options | parameters | {' | '.join(METHODS)} | seconds |",
        f"| --- | --- | --- | --- | {' | '.join('---' for _ in METHODS)} | --- |",
    ]
    for variant in VARIANTS:
        cells, seconds, parameters = [], 0.0, 0
        for method in METHODS:
            outcome = outcomes[variant, method]
            reason = outcome if isinstance(outcome, str) else outcome.refused
            if reason and reason not in reasons:
                reasons.append(reason)
            state = "FAILS" if isinstance(outcome, str) else "refused"
            cells.append(f"{state} ({reasons.index(reason) + 1})" if reason else "pass")
            if isinstance(outcome, Outcome):
                seconds += outcome.seconds
                parameters = parameters or outcome.parameters
        options = ", ".join(option.removeprefix("WITH_") for option in variant.options)
        lines.append(
            f"| {variant.family} | {variant.depth} | {options} | {parameters / 1e6:.2f} M | "
            f"{' | '.join(cells)} | {seconds:.1f} |"
        )
    notes = "".join(f"{number}. {reason}\n" for number, reason in enumerate(reasons, start=1))
    return "\n".join(lines) + (f"\n\n{notes}" if notes else "\n")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_a_variant_trains_evaluates_and_reloads(variant, method, outcomes, tmp_path):
    bf16 = {"SOLVER__AMP__ENABLED": True} if method == "PMCM" else {}
    try:
        outcomes[variant, method] = run(variant, method, tmp_path, resume=False, **bf16)
    except Exception as error:
        outcomes[variant, method] = f"{type(error).__name__}: {error}"
        raise
    refused = outcomes[variant, method].refused
    assert bool(refused) == (
        (variant.family, method) in {("vit", "PMCM"), ("vit", "MCJA"), ("vit_map", "MCJA")}
    )
