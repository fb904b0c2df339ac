"""Training of mixtures on a base: the same loop and stages as for native models, other models and batches."""
