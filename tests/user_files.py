"""Small subjects to audit, written as a user would write them: files in a folder."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from landscape_audit.spec import AuditSpec
from landscape_audit.subject.loading import load_subject
from landscape_audit.subject.subject import Subject

MODEL = """
from torch import nn

def build(width=5):
    return nn.Sequential(nn.Linear(4, width), nn.Tanh(), nn.Linear(width, 3))
"""

DATA = """
import torch

def batches():
    generator = torch.Generator().manual_seed(3)
    x, y = torch.randn(50, 4, generator=generator), torch.randint(0, 3, (50,), generator=generator)
    return list(zip(x.split(12), y.split(12)))
"""


def wrapped(body: str) -> str:
    """The default model's file, with `build()` changed by statements on its model `m`."""
    return f"{MODEL}\n_build = build\ndef build():\n    m = _build()\n    {body}\n    return m\n"


def write(folder: Path, name: str, text: str) -> Path:
    """A file beside audit.toml."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))
    return path


def weights(value: float = 1.0) -> dict[str, torch.Tensor]:
    """A checkpoint for the default model with one number everywhere."""
    shapes = {"0.weight": (5, 4), "0.bias": (5,), "2.weight": (3, 5), "2.bias": (3,)}
    return {name: torch.full(shape, value) for name, shape in shapes.items()}


def trained(model: str) -> dict[str, torch.Tensor]:
    """What `build()` in that text would save."""
    space: dict[str, Any] = {}
    exec(compile(textwrap.dedent(model), "model.py", "exec"), space)  # noqa: S102 - the test's own text
    torch.manual_seed(1)
    return {name: value.clone() for name, value in space["build"]().state_dict().items()}


def subject_in(
    folder: Path,
    model: str = MODEL,
    loader: str = DATA,
    tensors: dict[str, torch.Tensor] | None = None,
    **settings: dict[str, Any],
) -> Subject:
    """The subject made of those files; by default a small classifier on 50 examples."""
    write(folder, "model.py", model)
    write(folder, "data.py", loader)
    checkpoint = folder / "model.safetensors"
    save_file(trained(model) if tensors is None else tensors, checkpoint)
    tables: dict[str, dict[str, Any]] = {"model": {"factory": "model.py:build"}, "data": {"loader": "data.py:batches"}}
    for table, values in settings.items():
        tables[table] = {**tables.get(table, {}), **values}
    return load_subject(AuditSpec.model_validate(tables), checkpoint, folder, torch.device("cpu"))
