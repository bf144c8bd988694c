"""Scoring under the exact protocols of the datasets, and re-ranking; without the toolkit."""

from vireid.evaluation.jaccard import k_reciprocal_jaccard
from vireid.evaluation.llcm import llcm_settings
from vireid.evaluation.metrics import METRICS, RankMetrics, rank_metrics
from vireid.evaluation.mixed import mixed_settings
from vireid.evaluation.modality_norm import normalize_by_modality
from vireid.evaluation.protocols import ProtocolResult, evaluate_settings
from vireid.evaluation.regdb import regdb_settings
from vireid.evaluation.sysu_mm01 import SYSUProtocol, sysu_settings
from vireid.evaluation.tracks import best_of_tracks, mean_of_tracks
from vireid.evaluation.trials import Setting, Trial
from vireid.evaluation.vcm import vcm_settings

__all__ = [
    "METRICS",
    "ProtocolResult",
    "RankMetrics",
    "SYSUProtocol",
    "Setting",
    "Trial",
    "best_of_tracks",
    "evaluate_settings",
    "k_reciprocal_jaccard",
    "llcm_settings",
    "mean_of_tracks",
    "mixed_settings",
    "normalize_by_modality",
    "rank_metrics",
    "regdb_settings",
    "sysu_settings",
    "vcm_settings",
]
