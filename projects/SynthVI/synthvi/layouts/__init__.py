"""Folders and lists of the real datasets, filled with generated images."""
