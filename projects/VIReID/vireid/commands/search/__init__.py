"""``vireid search ...``: a module for each of its words, and the arguments that they share."""
