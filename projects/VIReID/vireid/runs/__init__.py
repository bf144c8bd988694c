"""Many trainings: planned, run in processes of their own, found again, and what they have reached."""
