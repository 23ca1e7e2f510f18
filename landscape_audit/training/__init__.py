"""Training on from a checkpoint: the one place that moves weights, and only those of a copy."""
