"""The model: built, filled from the checkpoint, and made differentiable twice."""
