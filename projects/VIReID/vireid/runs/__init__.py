"""Many trainings: planned, run in processes of their own, found again, and what they have reached."""

# Files of a run; those of checkpoints end in .pth.
BEST, FINAL = "model_best", "model_final"
RESULTS = "results.json"  # of the last evaluation
BEST_RESULTS = "results_best.json"  # of the epoch of BEST
