"""Many trainings: planned, run in processes of their own, found again, and what they have reached."""

RESULTS = "results.json"  # of the last evaluation of a run
BEST_RESULTS = "results_best.json"  # of the epoch of model_best.pth
