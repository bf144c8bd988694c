"""Embedding images, and searching a gallery by an image; models from a config or from an exported file."""

from vireid.inference.embedder import Embedder
from vireid.inference.gallery import Gallery, Indexed
from vireid.inference.records import Entry, Match, Where
from vireid.inference.store import open_store

__all__ = ["Embedder", "Entry", "Gallery", "Indexed", "Match", "Where", "open_store"]
