"""Small checkpoints of architectures that libraries know by name, and what it takes to import those here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn
from torchvision_operators import declare

declare()

BERT: dict[str, Any] = {
    "architectures": ["BertForSequenceClassification"],
    "model_type": "bert",
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 12,
    "vocab_size": 20,
    "max_position_embeddings": 16,
    "num_labels": 3,
}
GPT2: dict[str, Any] = {
    "architectures": ["GPT2LMHeadModel"],
    "model_type": "gpt2",
    "n_embd": 8,
    "n_layer": 1,
    "n_head": 2,
    "n_positions": 16,
    "vocab_size": 20,
}


def write_config(folder: Path, values: dict[str, Any], **changes: Any) -> Path:
    """`config.json` in `folder`."""
    path = folder / "config.json"
    path.write_text(json.dumps({**values, **changes}))
    return path


def save(folder: Path, model: nn.Module, name: str = "model.safetensors") -> Path:
    """The checkpoint of a model, every tensor random, as at a trained one none is zero or one; tied ones once."""
    generator = torch.Generator().manual_seed(0)
    for value in model.parameters():
        value.data = torch.randn(value.shape, generator=generator) / max(value.shape[-1:], default=1) ** 0.5
    kept = {id(value): (key, value.detach()) for key, value in model.state_dict(keep_vars=True).items()}
    save_file({key: value.contiguous() for key, value in kept.values()}, folder / name)
    return folder / name
