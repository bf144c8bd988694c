"""Checkpoints: written and read, found again on resume, and locked against a second run."""
