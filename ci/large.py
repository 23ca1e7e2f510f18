"""A GPT-style model of many parameters through `landscape-audit run --preset quick`: what it costs in memory."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from safetensors.torch import save_file

MODEL = """
import torch
from torch import nn


class Layer(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mix, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        parts = self.mix(self.before(x)).chunk(3, -1)
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
        x = x + self.out(nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2))
        return x + self.narrow(nn.functional.gelu(self.wide(self.between(x))))


class Gpt(nn.Module):
    def __init__(self, width, depth, vocabulary=4096, length=64):
        super().__init__()
        self.tokens, self.places = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
        self.layers = nn.ModuleList([Layer(width, width // 64) for _ in range(depth)])
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary, bias=False)

    def forward(self, ids):
        x = self.tokens(ids) + self.places.weight[: ids.shape[1]]
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x)).transpose(1, 2)


def build(width, depth):
    return Gpt(width, depth)


def validation(n=16, length=16):
    ids = torch.randint(0, 4096, (n, length + 1), generator=torch.Generator().manual_seed(0))
    return [(ids[:, :-1], ids[:, 1:])]
"""
CONFIG = """
[model]
factory = "model.py:build"
kwargs = {{ width = {width}, depth = {depth} }}
[data]
loader = "model.py:validation"
[protocol]
preset = "quick"
device = "{device}"
max_memory = "4GiB"
"""


def shape(parameters: float) -> tuple[int, int]:
    """Width and depth of about that many parameters: 12 width² a layer, 64 to 100 times as wide as deep."""
    width = 64 * max(1, round((parameters * 80 / 12) ** (1 / 3) / 64))
    return width, max(1, round((parameters - 2 * 4096 * width) / (12 * width**2)))


def project(folder: Path, millions: float, device: str) -> int:
    """A project with an untrained model in it; returns its parameters."""
    width, depth = shape(1e6 * millions)
    (folder / "model.py").write_text(MODEL)
    (folder / "audit.toml").write_text(CONFIG.format(width=width, depth=depth, device=device))
    names: dict[str, object] = {}
    exec(MODEL, names)  # noqa: S102 - the text above
    torch.manual_seed(0)
    model = names["build"](width, depth)  # type: ignore[operator] # the function in the text above
    save_file(model.state_dict(), folder / "model.safetensors")
    return sum(value.numel() for value in model.parameters())


def main() -> None:
    """Make it, audit it, and print one line."""
    millions, device = float((sys.argv[1:2] or ["100"])[0]), (sys.argv[2:3] or ["cpu"])[0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parameters = project(folder, millions, device)
        start = time.monotonic()
        command = [sys.executable, "-m", "landscape_audit", "run", "model.safetensors", "--out", "audit", "--no-pdf"]
        done = subprocess.run(command, cwd=folder, check=False)  # noqa: S603 - our own command
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
        if done.returncode:
            sys.exit(f"the audit ended with {done.returncode}")
        found = json.loads((folder / "audit" / "results.json").read_text())
    spent = [probe["cost"] for probe in found["protocol"]["probes"]]
    hvps, minutes = sum(cost["hvps"] for cost in spent), (time.monotonic() - start) / 60
    print(
        f"{parameters / 1e6:.0f} M parameters on {device}: {hvps:.0f} products, {minutes:.0f} minutes, "
        f"{peak:.1f} GiB at most on the host; {len(found['checks'])} checks, partial: {found['partial']}; "
        f"{'; '.join(found['protocol']['adjustments'])}"
    )


if __name__ == "__main__":
    main()
