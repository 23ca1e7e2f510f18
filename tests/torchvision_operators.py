"""Two operators that torchvision registers fakes for on import, declared where its build lacks them.

A torchvision built for CUDA does not load its extension beside a torch built for the CPU, and then its import raises.
"""

from __future__ import annotations

import contextlib

import torch

LIBRARY = torch.library.Library("torchvision", "FRAGMENT")  # declarations last as long as this lives


def declare() -> None:
    """Before torchvision or timm is imported."""
    for name in ("nms", "qnms"):
        with contextlib.suppress(RuntimeError):  # there already, or the real one
            LIBRARY.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
