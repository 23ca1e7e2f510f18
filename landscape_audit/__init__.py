"""Audit the loss landscape around a trained PyTorch checkpoint."""

__version__ = "0.1.0"
