"""Searching a store: what a gallery does that changes no image."""

from collections.abc import Iterable, Sequence
from typing import Any

from vireid.errors import StoreError, UserError
from vireid.inference.embedder import Embedder
from vireid.inference.inputs import AUTO, AnyImage
from vireid.inference.progress import warn_of_equal_scores
from vireid.inference.queries import Answer, as_query, best_of_groups, marked
from vireid.inference.records import Entry, Match, Names, Time, conditions
from vireid.inference.stores.protocol import Store, check_model, present
from vireid.inference.thresholds import Threshold, find_threshold, kept, measure_thresholds


class Search:
    """The part of ``Gallery`` that reads.

    Args:
        store: of ``open_store``; None in all processes of torchrun but the first.
        embedder: of the store's model; None: neither ``index``, nor ``add``, nor ``search``.
    """

    def __init__(self, store: Store | None, embedder: Embedder | None = None) -> None:
        self._store, self._embedder = store, embedder

    def search(
        self,
        image: AnyImage | Iterable[AnyImage],
        top: int = 10,
        *,
        modality: str = AUTO,
        camera: Names | None = None,
        identity: Names | None = None,
        after: Time | None = None,
        before: Time | None = None,
        of: str | None = None,
        by: str = "image",
        false_alarms: float | None = None,
    ) -> list[Match]:
        """The images that are most like a query, best first, marked by the store's threshold.

        Args:
            image: as of ``Embedder.embed``; or several of one person, of which the mean embedding is searched
                for: a list, a folder, or the name of a track in the store.
            top: how many.
            modality: of the query.
            camera, identity: one or several, of which a found image has one; none has one of an empty list.
            after: only images of this time or later, such as "2026-01-31" or "2026-01-31T18:30".
            before: only images earlier than this.
            of: only images of this modality.
            by: "image"; or "track" or "identity": of each the best image alone.
            false_alarms: whose threshold, of ``calibrate``, is used; None: 0.05, where the store has it.

        Raises:
            ImageError: the query cannot be read, or has images of two modalities.
            StoreError: the store does not answer, has been damaged, or has no such threshold.
        """
        asked = {"camera": camera, "identity": identity, "after": after, "before": before, "of": of}
        return self.answer(image, top, modality=modality, by=by, false_alarms=false_alarms, **asked).matches

    def answer(
        self,
        image: AnyImage | Iterable[AnyImage],
        top: int = 10,
        *,
        modality: str = AUTO,
        by: str = "image",
        false_alarms: float | None = None,
        **asked: Any,
    ) -> Answer:
        """As ``search``, with the threshold."""
        if top < 1:
            raise UserError(f"top is {top}; expected 1 or more")
        store, where = self.store, conditions(**asked)
        query = as_query(image, modality, store, self.embedder)
        model, of = store.about.fingerprint, asked.get("of")
        threshold = find_threshold(store.calibration, model, query.modality, of, false_alarms)
        found = best_of_groups(store, query.vector, top, where, by=by, without=query.own)
        warn_of_equal_scores([match.score for match in found])
        return Answer(query, marked(found, threshold), threshold)

    def calibrate(
        self, false_alarms: Sequence[float] | None = None, queries: "Search | None" = None
    ) -> list[Threshold]:
        """Measure thresholds on the images whose persons are known, and keep them in the store: in place of
        those for the same modalities that it has.

        Args:
            false_alarms: rates, above 0 and below 1; None: 1, 5 and 10 %, as far as the persons allow.
            queries: another gallery of the same model, and of the same persons, whose images are the queries;
                None: this one.

        Raises:
            UserError: there are too few persons: says how many are needed.
            StoreError: ``queries`` is of another model, or another process is writing.
        """
        other = queries.store if queries else self.store
        check_model("the gallery of the queries", other.about, self.store.about)
        images = self.store.read()
        found = measure_thresholds(images, images if queries is None else other.read(), false_alarms)
        self.store.calibrate(kept(self.store.about.fingerprint, found, self.store.calibration))
        return found

    def present(self, **asked: Any) -> str:
        """What the store has of that for which the conditions of a search ask, where no image meets them."""
        return present(self.store, conditions(**asked))

    def entries(
        self,
        *,
        camera: Names | None = None,
        identity: Names | None = None,
        after: Time | None = None,
        before: Time | None = None,
    ) -> list[Entry]:
        """What the store keeps of the images that meet every condition that is given."""
        return self.store.entries(conditions(camera=camera, identity=identity, after=after, before=before))

    def info(self) -> dict[str, Any]:
        """Numbers of images, identities and cameras, the model, and how it is searched."""
        return self.store.info()

    def __len__(self) -> int:
        """Number of images."""
        return len(self.store)

    @property
    def store(self) -> Store:
        """Where the images are."""
        if self._store is None:
            raise StoreError("only the first process of torchrun has the store")
        return self._store

    @property
    def embedder(self) -> Embedder:
        """What embeds images and queries."""
        if self._embedder is None:
            raise UserError("this gallery was opened without an embedder: Gallery.open(store, embedder)")
        return self._embedder
