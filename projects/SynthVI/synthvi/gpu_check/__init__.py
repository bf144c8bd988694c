"""What ``tools/gpu.py`` does on a machine with a GPU: tests, two benchmarks and four short trainings."""
