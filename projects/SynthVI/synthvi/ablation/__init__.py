"""Ablations: a table of configs, trained with several seeds, and what each is worth beside another."""
