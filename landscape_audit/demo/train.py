"""The demo's checkpoint: trained in seconds, the same on every machine up to its arithmetic."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from landscape_audit.errors import CapabilityError, OutputError
from landscape_audit.files import writable_folder

PROJECT = Path(__file__).with_name("project")
EPOCHS = 60
RATE = 0.05
WEIGHT_DECAY = 5e-4
N_TRAIN = 1347


def write_project(folder: Path, seed: int = 0) -> float:
    """model.safetensors, model.py, data.py, digits.npz and audit.toml in `folder`; returns the validation accuracy."""
    _untouched(folder)
    writable_folder(folder)
    for source in sorted(PROJECT.iterdir()):
        if source.suffix in {".py", ".toml"}:
            shutil.copyfile(source, folder / source.name)
    arrays = _digits(seed)
    np.savez(folder / "digits.npz", **arrays)
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _build(folder / "model.py")
        _train(model, tensors["train_inputs"], tensors["train_targets"])
    save_file(model.state_dict(), folder / "model.safetensors", metadata={"format": "pt"})
    with torch.no_grad():
        right = model(tensors["validation_inputs"]).argmax(1) == tensors["validation_targets"]
    return float(right.double().mean())


def _untouched(folder: Path) -> None:
    """Never over somebody's own project: a file of the demo's name may be replaced only where it is the demo's."""
    ours = (folder / "audit.toml").is_file()
    if (folder / "model.safetensors").exists() and not ours:
        raise OutputError(f"{folder}: has a model.safetensors that is not the demo's.", remedy="Name another folder.")
    for source in sorted(PROJECT.iterdir()):
        there = folder / source.name
        if there.is_file() and there.read_bytes() != source.read_bytes():
            raise OutputError(f"{there}: is not the demo's, and would be overwritten.", remedy="Name another folder.")


def _digits(seed: int) -> dict[str, Any]:
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise CapabilityError(
            "the demo needs scikit-learn, which ships the digits.", remedy="pip install scikit-learn"
        ) from None
    stored = load_digits()
    order = np.random.default_rng(seed).permutation(len(stored.target))
    images = (stored.images[order, None] / 16).astype(np.float32)
    labels = stored.target[order].astype(np.int64)
    parts = {"train": slice(0, N_TRAIN), "validation": slice(N_TRAIN, None)}
    inputs = {f"{part}_inputs": images[rows] for part, rows in parts.items()}
    return {**inputs, **{f"{part}_targets": labels[rows] for part, rows in parts.items()}}


def _build(path: Path) -> nn.Module:
    spec = importlib.util.spec_from_file_location("demo_model", path)
    assert spec is not None  # noqa: S101 - a path that ends in .py always has a loader
    assert spec.loader is not None  # noqa: S101 - likewise
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    model: nn.Module = module.build()
    return model


def _train(model: nn.Module, inputs: torch.Tensor, targets: torch.Tensor) -> None:
    """SGD with momentum and a cosine schedule down to zero, so that it settles."""
    optimiser = torch.optim.SGD(model.parameters(), lr=RATE, momentum=0.9, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, EPOCHS)
    for _ in range(EPOCHS):
        for rows in torch.split(torch.randperm(len(inputs)), 64):
            optimiser.zero_grad()
            torch.autograd.backward(nn.functional.cross_entropy(model(inputs[rows]), targets[rows]))
            optimiser.step()
        schedule.step()
