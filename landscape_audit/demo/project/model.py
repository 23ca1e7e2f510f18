"""The architecture: landscape-audit calls build() and loads model.safetensors into what it returns."""

from torch import nn


def build() -> nn.Module:
    """A small convolutional network for 8 x 8 grey images of ten digits."""
    return nn.Sequential(
        nn.Conv2d(1, 12, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.Conv2d(12, 24, kernel_size=3, padding=1, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(24 * 4 * 4, 32),
        nn.ReLU(),
        nn.Linear(32, 10),
    )
