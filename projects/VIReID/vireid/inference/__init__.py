"""Embedding images, and searching a gallery by an image; models from a config or from an exported file."""

from vireid.inference.embedder import Embedder
from vireid.inference.gallery import Gallery
from vireid.inference.records import Entry, Match, Where
from vireid.inference.stores import open_store
from vireid.inference.tasks import Indexed

__all__ = ["Embedder", "Entry", "Gallery", "Indexed", "Match", "Where", "open_store"]
