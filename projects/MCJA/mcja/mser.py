"""Multi-spectral enhanced ranking as a re-ranker: TEST.RERANKER "MSER"."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from yacs.config import CfgNode

from mcja.multi_spectral import MultiSpectralReranker
from vireid.engine.rerankers import Distance
from vireid.errors import ConfigError
from vireid.evaluation.features import unit_rows
from vireid.evaluation.protocols import Setting, Trial
from vireid.registries import RERANKER_REGISTRY


@RERANKER_REGISTRY.register()
class MSER:
    """Ranks by four spectra of the visible images: the image, and its red, green and blue channel.

    Args:
        k1, k2, lambda_value, query_neighbours_only: as of ``multi_spectral_rerank``.
        device: where distances are computed.
    """

    views: tuple[str, ...] = ("image", "red", "green", "blue")
    label = "MSER"

    def __init__(
        self,
        k1: int,
        k2: int,
        lambda_value: float,
        query_neighbours_only: bool,
        device: str = "cpu",
    ):
        self.device = device
        self.k1, self.k2, self.lambda_value = k1, k2, lambda_value
        self.query_neighbours_only = query_neighbours_only

    @classmethod
    def from_config(cls, cfg: CfgNode) -> "MSER":
        node = cfg.TEST.MSER
        return cls(node.K1, node.K2, node.LAMBDA, node.QUERY_NEIGHBOURS_ONLY, cfg.MODEL.DEVICE)

    def check(self, settings: Sequence[Setting]) -> None:
        """Raise ConfigError where a setting does not compare visible with infrared images, or has too few."""
        for setting in settings:
            if setting.direction not in ("i2v", "v2i"):
                raise ConfigError(
                    f"TEST.RERANKER MSER: {setting.name} has no visible side opposite an infrared one, "
                    'and so no spectra to compare; set it to ""'
                )
            of_queries, of_gallery = (1, 4) if setting.direction == "i2v" else (4, 1)
            items = min(
                of_queries * len(trial.query)
                + (0 if self.query_neighbours_only else of_gallery * len(trial.gallery))
                for trial in setting.trials
            )
            if self.k1 + 1 > items:
                raise ConfigError(
                    f"TEST.MSER.K1 is {self.k1}; {setting.name} has {items} images to choose neighbours "
                    f"from: set it to {items - 1} or less"
                )

    def bind(self, features: dict[str, Tensor]) -> Distance:
        """The distances of trials, from an (N, D) tensor for each view."""
        spectra = [unit_rows(features[view].to(self.device)) for view in self.views]
        latest: tuple[np.ndarray, str, MultiSpectralReranker] | None = None

        def distance(trial: Trial, setting: Setting) -> np.ndarray:
            nonlocal latest
            query, gallery = (torch.from_numpy(part).to(self.device) for part in (trial.query, trial.gallery))
            query_spectra, gallery_spectra = (1, 4) if setting.direction == "i2v" else (4, 1)
            try:
                # Trials of one query set share what does not depend on the gallery.
                if (
                    latest is None
                    or latest[1] != setting.direction
                    or not np.array_equal(latest[0], trial.query)
                ):
                    reranker = self.prepare([view[query] for view in spectra[:query_spectra]], setting)
                    latest = trial.query, setting.direction, reranker
                return latest[2].rank([view[gallery] for view in spectra[:gallery_spectra]])
            except ConfigError as error:
                raise ConfigError(f"TEST.MSER on {setting.name}: {error}") from None

        return distance

    def prepare(self, queries: list[Tensor], setting: Setting) -> MultiSpectralReranker:
        """queries: one (Q, D) for each spectrum that the query side has."""
        return MultiSpectralReranker(
            queries,
            self.k1,
            self.k2,
            self.lambda_value,
            query_neighbours_only=self.query_neighbours_only,
            direction=setting.direction,
        )
