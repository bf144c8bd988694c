"""The whole matrix of backbones, ``make test-all``."""

import pytest

from backbone_matrix import METHODS, REFUSED, VARIANTS, run

pytestmark = pytest.mark.full


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_a_variant_trains_evaluates_and_reloads(variant, method, tmp_path):
    mixed = {"SOLVER__AMP__ENABLED": True} if method == "PMCM" else {}
    refused = run(variant, method, tmp_path, resume=False, **mixed).refused
    assert bool(refused) == ((variant.family, method) in REFUSED)
