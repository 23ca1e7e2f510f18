"""The data: landscape-audit calls validation() and audits on the batches it yields, always in the same order."""

from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, TensorDataset

with np.load(Path(__file__).with_name("digits.npz")) as stored:
    STORED = dict(stored)


def training() -> DataLoader:
    """What the network was trained on. In a fixed order: landscape-audit shuffles by its own seeds."""
    return DataLoader(_dataset("train"), batch_size=128)


def validation() -> DataLoader:
    """Images that the network has never seen. No shuffling, no augmentation: the loss must not change by itself."""
    return DataLoader(_dataset("validation"), batch_size=128)


def _dataset(part: str) -> TensorDataset:
    return TensorDataset(torch.from_numpy(STORED[f"{part}_inputs"]), torch.from_numpy(STORED[f"{part}_targets"]))
