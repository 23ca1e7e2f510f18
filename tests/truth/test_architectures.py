"""Real architectures through real files: the largest eigenvalue against that of plain torch in float64.

The reference shares no code with the tool: the model of the same factory with the same tensors, the loss written out,
double backward, and scipy's eigsh.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision_operators
from safetensors.torch import save_model
from scipy.sparse.linalg import LinearOperator, eigsh
from subjects import bench
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from landscape_audit.probes.krylov import HessianKrylov
from landscape_audit.spec import AuditSpec
from landscape_audit.subject.loading import load_subject
from landscape_audit.subject.subject import Subject

TOKENS = """
import torch

def batches():
    g = torch.Generator().manual_seed(3)
    for size, length in ((5, 9), (4, 6), (7, 9)):
        ids = torch.randint(1, 24, (size, length), generator=g)
        lengths = torch.randint(2, length + 1, (size,), generator=g)
        mask = (torch.arange(length) < lengths[:, None]).long()
        yield {"input_ids": ids * mask, "attention_mask": mask, **targets(ids, mask, g)}
"""
IMAGES = """
import torch

def batches():
    g = torch.Generator().manual_seed(3)
    x = torch.randn(12, 3, SIDE, SIDE, generator=g)
    return list(zip(x.split(6), targets(x, g).split(6)))
"""

BUDGETS = {"lanczos_steps": 40, "top_k": 1, "eigen_tolerance": 0.02}


def audited(folder: Path, model: str, data: str, **settings: Any) -> tuple[Subject, nn.Module, list[Any]]:
    """A subject from files, and the same model and batches in float64."""
    torchvision_operators.declare()
    (folder / "model.py").write_text(textwrap.dedent(model))
    (folder / "data.py").write_text(textwrap.dedent(data))
    space: dict[str, Any] = {}
    for name in ("model", "data"):
        exec(compile((folder / f"{name}.py").read_text(), name, "exec"), space)  # noqa: S102 - the test's own text
    torch.manual_seed(7)
    built = space["build"]()
    # Away from the symmetric start, at which curvature along many directions is nearly the same.
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    save_model(built, str(folder / "model.safetensors"))
    spec = {
        "model": {"factory": "model.py:build"},
        "data": {"loader": "data.py:batches"},
        **settings,
    }
    subject = load_subject(AuditSpec.model_validate(spec), folder / "model.safetensors", folder, torch.device("cpu"))
    return subject, built.eval().double(), [_double(item) for item in space["batches"]()]


def holds(subject: Subject, model: nn.Module, loss: Callable[[], Tensor]) -> None:
    """That the largest Ritz value with its residual holds the reference, and that this is narrow."""
    space = bench(subject, preset="quick", budgets=BUDGETS).take(HessianKrylov())
    ritz, residual = float(space.ritz_values[-1]), float(space.residuals[-1])
    value = lambda_max(model, loss)
    rounding = 1e-4 * abs(value)  # of the audit's float32
    assert ritz - residual - rounding <= value <= ritz + residual + rounding
    assert residual < 0.1 * abs(value)


def lambda_max(model: nn.Module, loss: Callable[[], Tensor]) -> float:
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    sizes = [parameter.numel() for parameter in parameters]
    with sdpa_kernel(SDPBackend.MATH):
        slopes = torch.autograd.grad(loss(), parameters, create_graph=True, materialize_grads=True)

    def product(v: Any) -> Any:
        parts = torch.from_numpy(np.asarray(v, dtype=np.float64).reshape(-1).copy()).split(sizes)
        directions = [part.view_as(slope) for part, slope in zip(parts, slopes, strict=True)]
        found = torch.autograd.grad(
            slopes, parameters, grad_outputs=directions, retain_graph=True, materialize_grads=True
        )
        return torch.cat([part.reshape(-1) for part in found]).numpy()

    operator = LinearOperator((sum(sizes), sum(sizes)), matvec=product, dtype=np.float64)
    start = np.random.default_rng(0).standard_normal(sum(sizes))
    return float(eigsh(operator, k=1, which="LA", v0=start, ncv=12, tol=1e-4, return_eigenvectors=False)[0])


def _double(item: Any) -> Any:
    if isinstance(item, Tensor):
        return item.double() if item.is_floating_point() else item
    if isinstance(item, dict):
        return {key: _double(value) for key, value in item.items()}
    return tuple(_double(part) for part in item)


# ------------------------------------------------------------------------------------------------------- transformers

BERT = """
from transformers import BertConfig, BertForSequenceClassification

def build():
    return BertForSequenceClassification(BertConfig(
        vocab_size=24, hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=12,
        max_position_embeddings=12, num_labels=3))
"""
GPT = """
from transformers import GPT2Config, GPT2LMHeadModel

def build():
    return GPT2LMHeadModel(GPT2Config(vocab_size=24, n_embd=8, n_layer=2, n_head=2, n_positions=12))
"""
MASKED = """
from transformers import BertConfig, BertForMaskedLM

def build():
    return BertForMaskedLM(BertConfig(
        vocab_size=24, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=12,
        max_position_embeddings=12))
"""
NO_LABELS = TOKENS + "\ndef targets(ids, mask, g):\n    return {}\n"
CLASS_LABELS = (
    TOKENS + '\ndef targets(ids, mask, g):\n    return {"labels": torch.randint(0, 3, (len(ids),), generator=g)}\n'
)
TOKEN_LABELS = TOKENS + '\ndef targets(ids, mask, g):\n    return {"labels": ids.masked_fill(mask == 0, -100)}\n'
SOME_LABELS = (
    TOKENS
    + """
def targets(ids, mask, g):
    some = (torch.rand(ids.shape, generator=g) < 0.4) & (mask == 1)
    some[:, 1] = True
    return {"labels": ids.masked_fill(~some, -100)}
"""
)


def test_a_bert_classifier_of_padded_texts(tmp_path: Path) -> None:
    subject, model, batches = audited(tmp_path, BERT, CLASS_LABELS)

    def loss() -> Tensor:
        each = [
            functional.cross_entropy(
                model(input_ids=b["input_ids"], attention_mask=b["attention_mask"]).logits, b["labels"], reduction="sum"
            )
            for b in batches
        ]
        return torch.stack(each).sum() / 16

    holds(subject, model, loss)


def next_tokens(model: nn.Module, batches: list[Any]) -> Tensor:
    """The mean over all tokens that are not padding, but the first of each row."""
    total, weight = torch.zeros((), dtype=torch.float64), 0
    for b in batches:
        logits = model(input_ids=b["input_ids"], attention_mask=b["attention_mask"]).logits
        picked = logits[:, :-1].log_softmax(-1).gather(-1, b["input_ids"][:, 1:, None])[..., 0]
        counted = b["attention_mask"][:, 1:]
        total = total - (picked * counted).sum()
        weight += int(counted.sum())
    return total / weight


@pytest.mark.parametrize(
    ("data", "name"),
    [(NO_LABELS, "causal_lm"), (TOKEN_LABELS, "causal_lm"), (TOKEN_LABELS, "model")],
    ids=["its own tokens", "labels", "its own loss"],
)
def test_a_gpt_of_texts_of_several_lengths(tmp_path: Path, data: str, name: str) -> None:
    subject, model, batches = audited(tmp_path, GPT, data, loss={"name": name})
    assert subject.data.weight == sum(int(b["attention_mask"][:, 1:].sum()) for b in batches)
    holds(subject, model, lambda: next_tokens(model, batches))


@pytest.mark.parametrize("name", ["masked_lm", "model"])
def test_a_bert_of_masked_tokens(tmp_path: Path, name: str) -> None:
    subject, model, batches = audited(tmp_path, MASKED, SOME_LABELS, loss={"name": name})
    assert subject.data.weight == sum(int((b["labels"] != -100).sum()) for b in batches)

    def loss() -> Tensor:
        total, weight = torch.zeros((), dtype=torch.float64), 0
        for b in batches:
            logits = model(input_ids=b["input_ids"], attention_mask=b["attention_mask"]).logits
            counted = b["labels"] != -100
            picked = logits.log_softmax(-1).gather(-1, b["labels"].clamp(min=0)[..., None])[..., 0]
            total = total - picked[counted].sum()
            weight += int(counted.sum())
        return total / weight

    holds(subject, model, loss)


# --------------------------------------------------------------------------------------------------------- plain torch

LSTM = """
import torch
from torch import nn

class Texts(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(24, 6)
        self.lstm = nn.LSTM(6, 8, num_layers=2, batch_first=True, dropout=0.3)
        self.head = nn.Linear(8, 3)

    def forward(self, input_ids):
        return self.head(self.lstm(self.embedding(input_ids))[0][:, -1])

build = Texts
"""


def test_an_lstm_classifier(tmp_path: Path) -> None:
    subject, model, batches = audited(tmp_path, LSTM, CLASS_LABELS)

    def loss() -> Tensor:
        each = [functional.cross_entropy(model(b["input_ids"]), b["labels"], reduction="sum") for b in batches]
        return torch.stack(each).sum() / 16

    holds(subject, model, loss)


TWO_INPUTS = """
import torch
from torch import nn

class Priced(nn.Module):
    def __init__(self):
        super().__init__()
        self.picture, self.facts = nn.Conv2d(3, 4, 3), nn.Linear(5, 6)
        self.head = nn.Linear(10, 1)

    def forward(self, picture, facts):
        seen = torch.tanh(self.picture(picture)).mean((2, 3))
        return {"price": self.head(torch.cat([seen, torch.tanh(self.facts(facts))], 1)), "seen": seen}

build = Priced
"""
TWO_INPUTS_DATA = """
import torch

def batches():
    g = torch.Generator().manual_seed(3)
    for size in (6, 8, 3):
        yield torch.randn(size, 3, 6, 6, generator=g), torch.randn(size, 5, generator=g), torch.randn(size, generator=g)
"""


def test_a_model_of_two_inputs_and_several_outputs_under_a_regression(tmp_path: Path) -> None:
    settings = {"loss": {"name": "mse", "output": "price"}}
    subject, model, batches = audited(tmp_path, TWO_INPUTS, TWO_INPUTS_DATA, **settings)
    assert "mse: outputs (n, 1) are held against targets (n,) one by one." in subject.adjustments

    def loss() -> Tensor:
        return sum((model(a, b)["price"][:, 0] - y).square().sum() for a, b, y in batches) / 17

    holds(subject, model, loss)


SEGMENTATION = """
from torch import nn

def build():
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.GELU(), nn.Conv2d(6, 6, 3, stride=2, padding=1),
        nn.GroupNorm(2, 6), nn.SiLU(), nn.ConvTranspose2d(6, 4, 2, stride=2))
"""
SEGMENTS = (
    IMAGES.replace("SIDE", "8")
    + """
def targets(x, g):
    found = torch.randint(0, 4, (12, 8, 8), generator=g)
    found[torch.rand(12, 8, 8, generator=g) < torch.linspace(0, 0.9, 12)[:, None, None]] = 255
    return found
"""
)


def test_a_segmentation_with_pixels_that_do_not_count_and_weights_of_classes(tmp_path: Path) -> None:
    weights = [1.0, 0.2, 3.0, 0.5]
    settings = {"loss": {"kwargs": {"ignore_index": 255, "weight": weights}}}
    subject, model, batches = audited(tmp_path, SEGMENTATION, SEGMENTS, **settings)
    x, y = (torch.cat(side) for side in zip(*batches, strict=True))
    weight = torch.tensor(weights, dtype=torch.float64)
    holds(subject, model, lambda: functional.cross_entropy(model(x), y, weight=weight, ignore_index=255))


MULTI_LABEL = """
from torch import nn

def build():
    return nn.Sequential(nn.Flatten(), nn.Linear(27, 12), nn.LayerNorm(12), nn.Softplus(), nn.Linear(12, 5))
"""
LABELS = (
    IMAGES.replace("SIDE", "3")
    + """
def targets(x, g):
    return torch.rand(12, 5, generator=g) < 0.3
"""
)


def test_a_multi_label_model_with_weights_of_positives(tmp_path: Path) -> None:
    settings = {"loss": {"name": "bce_with_logits", "kwargs": {"pos_weight": [2.0, 1.0, 3.0, 1.0, 0.5]}}}
    subject, model, batches = audited(tmp_path, MULTI_LABEL, LABELS, **settings)
    x, y = (torch.cat(side) for side in zip(*batches, strict=True))
    weight = torch.tensor([2.0, 1.0, 3.0, 1.0, 0.5], dtype=torch.float64)
    binary = functional.binary_cross_entropy_with_logits
    holds(subject, model, lambda: binary(model(x), y.double(), pos_weight=weight))


# ------------------------------------------------------------------------------------------------------- timm and alike

VIT = """
from timm.models.vision_transformer import VisionTransformer

def build():
    return VisionTransformer(img_size=8, patch_size=4, embed_dim=8, depth=2, num_heads=2, num_classes=3)
"""
RESNET = """
from timm.models.resnet import BasicBlock, ResNet

def build():
    return ResNet(BasicBlock, (1, 1, 1, 1), num_classes=3, channels=(4, 4, 8, 8), stem_width=4)
"""
SHUFFLENET = """
from torchvision.models import ShuffleNetV2

def build():
    return ShuffleNetV2([1, 1, 1], [4, 8, 8, 8, 16], num_classes=3)
"""


@pytest.mark.parametrize(
    ("model", "side"), [(VIT, 8), (RESNET, 16), (SHUFFLENET, 16)], ids=["timm ViT", "timm ResNet", "torchvision"]
)
def test_image_classifiers_of_timm_and_torchvision(tmp_path: Path, model: str, side: int) -> None:
    data = (
        IMAGES.replace("SIDE", str(side)) + "\ndef targets(x, g):\n    return torch.randint(0, 3, (12,), generator=g)\n"
    )
    subject, double, batches = audited(tmp_path, model, data)
    x, y = (torch.cat(side) for side in zip(*batches, strict=True))
    holds(subject, double, lambda: functional.cross_entropy(double(x), y))
