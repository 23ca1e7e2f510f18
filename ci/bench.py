"""What curvature costs, in gradients of the full sample, beside a second library; run by ci/bench.

CPU time, A and B interleaved in one process, ratios of medians. Never part of the tests: timings are noisy.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from scipy.sparse.linalg import eigsh
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from subjects import bench, cross_entropy, subject  # the builders that the tests use

from landscape_audit.curvature.lanczos import converged, lanczos
from landscape_audit.curvature.vectors import unit_gaussian

ROUNDS = 9
TOLERANCE = 1e-3


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

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Both ways, added."""
        return torch.relu(self.path(x) + self.shortcut(x))


class Gpt(nn.Module):
    """A small causal transformer on scaled dot-product attention; predicts the token after the last."""

    def __init__(
        self, width: int = 128, heads: int = 4, depth: int = 4, vocabulary: int = 96, length: int = 32
    ) -> None:
        super().__init__()
        self.heads = heads
        self.tokens, self.places = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
        self.norms = nn.ModuleList([nn.LayerNorm(width) for _ in range(2 * depth)])
        self.mixes = nn.ModuleList([nn.Linear(width, 3 * width) for _ in range(depth)])
        self.outs = nn.ModuleList([nn.Linear(width, width) for _ in range(depth)])
        wide = [
            nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)) for _ in range(depth)
        ]
        self.wides = nn.ModuleList(wide)
        self.head = nn.Linear(width, vocabulary)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Logits of the next token, shape (n, vocabulary)."""
        x = self.tokens(ids) + self.places(torch.arange(ids.shape[1]))
        for layer, mix in enumerate(self.mixes):
            parts = mix(self.norms[2 * layer](x)).chunk(3, dim=-1)
            q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
            mixed = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.outs[layer](mixed.transpose(1, 2).flatten(2))
            x = x + self.wides[layer](self.norms[2 * layer + 1](x))
        return self.head(x[:, -1])


def mlp() -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    """About 9 thousand parameters on scikit-learn's digits."""
    from sklearn.datasets import load_digits

    stored = load_digits()
    x, y = torch.tensor(stored.data / 16, dtype=torch.float32), torch.tensor(stored.target)
    return nn.Sequential(nn.Linear(64, 96), nn.Tanh(), nn.Linear(96, 24), nn.Tanh(), nn.Linear(24, 10)), x, y


def cnn() -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    """A network in the shape of ResNet-20, about 270 thousand parameters, on noise with labels."""
    widths = [(16, 16, 1)] * 3 + [(16, 32, 2)] + [(32, 32, 1)] * 2 + [(32, 64, 2)] + [(64, 64, 1)] * 2
    layers = [
        nn.Conv2d(3, 16, 3, 1, 1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        *(Block(*width) for width in widths),
    ]
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))
    generator = torch.Generator().manual_seed(0)
    return model, torch.randn(128, 3, 32, 32, generator=generator), torch.arange(128) % 10


def gpt() -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    """About 0.8 million parameters on sequences of 32 tokens."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, 96, (128, 32), generator=generator)
    return Gpt(), ids, (ids[:, -1] + 1) % 96


WORKLOADS = {"mlp": mlp, "cnn": cnn, "gpt": gpt}


def train(model: nn.Module, x: torch.Tensor, y: torch.Tensor, steps: int = 60) -> None:
    """Some steps of Adam, so that the point is neither random nor a minimum."""
    optimiser = torch.optim.Adam(model.parameters(), lr=2e-3)
    for _ in range(steps):
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimiser.step()


def cpu(call: Callable[[], object]) -> float:
    """CPU seconds of one call."""
    begun = time.process_time()
    call()
    return time.process_time() - begun


def measure(name: str) -> list[str]:
    """One row: the workload, a product and a forward in gradients, and λ_max by both libraries."""
    from curvlinops import HessianLinearOperator

    torch.manual_seed(0)
    model, x, y = WORKLOADS[name]()
    train(model, x, y)
    size = 128
    on = bench(subject(model, cross_entropy, x, y, sizes=[len(part) for part in x.split(size)]))
    theta = on.subject.theta
    v = unit_gaussian(theta.numel(), torch.Generator().manual_seed(1), theta)
    with on.outside_the_ledger("benchmark"):
        calls = {"gradient": on.gradient, "product": lambda: on.hvp(v), "forward": on.evaluate}
        for call in calls.values():
            call()
        times: dict[str, list[float]] = {what: [] for what in calls}
        for _ in range(ROUNDS):
            for what, call in calls.items():
                times[what].append(cpu(call))
        unit = statistics.median(times["gradient"])
        generator = torch.Generator().manual_seed(2)
        start = unit_gaussian(theta.numel(), generator, theta)
        spaces = []
        own = cpu(lambda: spaces.append(lanczos(on.hvp, start, 60, generator, stop=converged(1, TOLERANCE))))
        space = spaces[0]
    data = [(a, b) for a, b in zip(x.split(size), y.split(size), strict=True)]
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    operator = HessianLinearOperator(
        model, nn.CrossEntropyLoss(), parameters, data, check_deterministic=False
    ).to_scipy(dtype=np.float32)
    found: list[float] = []
    with sdpa_kernel(SDPBackend.MATH):  # without it the second library stops: fused attention has no second derivative
        peer = cpu(lambda: found.extend(eigsh(operator, k=1, which="LA", tol=TOLERANCE, return_eigenvectors=False)))
    apart = abs(float(space.ritz_values[-1]) - found[0]) / abs(found[0])
    return [
        name,
        f"{theta.numel():,}",
        f"{statistics.median(times['product']) / unit:.2f}",
        f"{statistics.median(times['forward']) / unit:.2f}",
        f"{space.steps}",
        f"{own / unit:.0f}",
        f"{peer / unit:.0f}",
        f"{peer / own:.1f}",
        f"{apart:.0e}",
    ]


HEADS = (
    "workload",
    "parameters",
    "product",
    "forward",
    "products for λ_max and λ_min",
    "the same in gradients",
    "curvlinops + eigsh for λ_max alone",
    "ratio",
    "λ_max apart",
)


def main() -> None:
    """Print a Markdown table; a workload that cannot be run stops with its error."""
    names = sys.argv[1:] or list(WORKLOADS)
    print(f"| {' | '.join(HEADS)} |\n|{'---|' * len(HEADS)}", flush=True)
    for name in names:
        print(f"| {' | '.join(measure(name))} |", flush=True)


if __name__ == "__main__":
    main()
