"""What is measured: three small networks on fixed data, trained a little towards a minimum, the same at every run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import sklearn.datasets
import torch
from subjects import cross_entropy, subject  # the builders that the tests use
from torch import Tensor, nn

from landscape_audit.subject.subject import Subject

Data = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Workload:
    """A trained network in eval mode with the sample its loss is the mean over. Peers get it as one batch."""

    name: str
    model: nn.Module
    inputs: Tensor
    targets: Tensor

    @property
    def parameters(self) -> int:
        """P."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    @property
    def direction(self) -> Tensor:
        """A random unit vector, the same for all, shape (P,)."""
        drawn = torch.randn(self.parameters, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        return (drawn / drawn.norm()).float()

    def subject(self) -> Subject:
        """The same for us: sixteen batches to estimate sampling errors from, joined into one pass as by the tool."""
        made = subject(self.model, cross_entropy, self.inputs, self.targets)
        return replace(made, sample=replace(made.sample, pass_size=len(self.inputs)))


class Block(nn.Module):
    """Two convolutions with batch normalisation, around a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.path = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        same = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if same else nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Both ways, added."""
        return torch.relu(self.path(x) + self.shortcut(x))


class Gpt(nn.Module):
    """A small causal transformer on scaled dot-product attention."""

    def __init__(self, vocabulary: int, length: int, width: int = 128, heads: int = 4, depth: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.tokens, self.places = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
        self.norms = nn.ModuleList([nn.LayerNorm(width) for _ in range(2 * depth)])
        self.mixes = nn.ModuleList([nn.Linear(width, 3 * width) for _ in range(depth)])
        self.outs = nn.ModuleList([nn.Linear(width, width) for _ in range(depth)])
        self.wides = nn.ModuleList(
            [nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)) for _ in range(depth)]
        )
        self.head = nn.Linear(width, vocabulary)

    def forward(self, ids: Tensor) -> Tensor:
        """Logits of the token after each, shape (n, vocabulary, length)."""
        x = self.tokens(ids) + self.places(torch.arange(ids.shape[1]))
        for layer, mix in enumerate(self.mixes):
            parts = mix(self.norms[2 * layer](x)).chunk(3, dim=-1)
            q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
            mixed = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.outs[layer](mixed.transpose(1, 2).flatten(2))
            x = x + self.wides[layer](self.norms[2 * layer + 1](x))
        return self.head(x).transpose(1, 2)


def digits() -> Data:
    """1,797 handwritten digits of 64 pixels."""
    stored = sklearn.datasets.load_digits()
    return torch.tensor(stored.data / 16, dtype=torch.float32), torch.tensor(stored.target)


def pictures(count: int = 64) -> Data:
    """The same digits as colour pictures of 32 x 32 pixels."""
    x, y = digits()
    small = x[:count].reshape(count, 1, 8, 8)
    large = nn.functional.interpolate(small, size=(32, 32), mode="bilinear")
    return large.repeat(1, 3, 1, 1), y[:count]


def text(count: int = 64, length: int = 32) -> Data:
    """Characters of what scikit-learn says of its data sets, each with the one after it."""
    words = "".join(getattr(sklearn.datasets, f"load_{name}")().DESCR for name in ("digits", "wine", "breast_cancer"))
    codes = torch.tensor([max(0, min(95, ord(letter) - 32)) for letter in words])
    windows = codes[: count * (length + 1)].reshape(count, length + 1)
    return windows[:, :-1].contiguous(), windows[:, 1:].contiguous()


def mlp() -> nn.Module:
    """About 9 thousand parameters."""
    return nn.Sequential(nn.Linear(64, 96), nn.Tanh(), nn.Linear(96, 24), nn.Tanh(), nn.Linear(24, 10))


def cnn() -> nn.Module:
    """A network in the shape of ResNet-20, about 270 thousand parameters."""
    widths = [(16, 16, 1)] * 3 + [(16, 32, 2)] + [(32, 32, 1)] * 2 + [(32, 64, 2)] + [(64, 64, 1)] * 2
    stem = (nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))
    return nn.Sequential(*stem, *(Block(*width) for width in widths), *head)


def gpt() -> nn.Module:
    """About 0.8 million parameters."""
    return Gpt(vocabulary=96, length=32)


WORKLOADS: dict[str, tuple[Callable[[], nn.Module], Callable[[], Data], int]] = {
    "mlp": (mlp, digits, 200),
    "cnn": (cnn, pictures, 40),
    "cnn-early": (cnn, lambda: pictures(16), 15),
    "gpt": (gpt, text, 60),
}
"""Architecture, data, and steps of training: enough to be neither at random nor at a minimum.

`cnn-early` stopped where few examples make a sharp, broad spectrum with a large negative part: hard for everybody.
"""


def workload(name: str) -> Workload:
    """Built and trained from a fixed seed."""
    architecture, data, steps = WORKLOADS[name]
    torch.manual_seed(0)
    model, (x, y) = architecture(), data()
    optimiser = torch.optim.Adam(model.parameters(), lr=2e-3)
    for _ in range(steps):
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimiser.step()
    optimiser.zero_grad()
    _settle(model, x)
    return Workload(name, model.eval(), x, y)


@torch.no_grad()
def _settle(model: nn.Module, x: Tensor, passes: int = 40) -> None:
    """Batch normalisation's running statistics brought to the weights at the end: 0.9^40 of the way is left."""
    if any(isinstance(module, nn.BatchNorm2d) for module in model.modules()):
        for _ in range(passes):
            model(x)
