"""Real architectures, built as declared, against an independent float64 eigenvalue of the library's own module."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from declared import BERT, GPT2, save, write_config
from landscapes import DOUBLE, found
from largest_eigenvalue import largest_eigenvalue
from safetensors.torch import save_file
from subjects import bench, cross_entropy, measured, subject
from torch import nn
from torch.nn import functional

from landscape_audit.checks.instrument import instrument
from landscape_audit.checks.sharpness import sharpness
from landscape_audit.spec import AuditSpec, ModelSpec
from landscape_audit.subject.checkpoint.checkpoint import read_checkpoint
from landscape_audit.subject.code.user_code import UserCode
from landscape_audit.subject.loading import load_subject
from landscape_audit.subject.model.assembly import assemble

timm = pytest.importorskip("timm")
torchvision = pytest.importorskip("torchvision")
transformers = pytest.importorskip("transformers")

IMAGES = {
    "timm:test_vit3": {"num_classes": 3, "img_size": 32},
    "timm:test_resnet": {"num_classes": 3},
    "torchvision:squeezenet1_1": {"num_classes": 3},
}


def own(factory, kwargs):
    library, name = factory.split(":")
    if library == "torchvision":
        return torchvision.models.get_model(name, weights=None, **kwargs)
    model = timm.create_model(name, pretrained=False, **kwargs)
    for module in model.modules():  # attention written out, not the fused call that the audit sees
        if hasattr(module, "fused_attn"):
            module.fused_attn = False
    return model


@pytest.mark.parametrize("factory", IMAGES)
def test_a_network_for_images_has_its_largest_eigenvalue(tmp_path: Path, factory):
    torch.manual_seed(0)
    model = own(factory, IMAGES[factory])
    save(tmp_path, model)
    x, y = torch.randn(6, 3, 32, 32), torch.arange(6) % 3
    save_file({"inputs": x, "targets": y}, tmp_path / "val.safetensors")
    tables = {
        "model": {"factory": factory, "kwargs": IMAGES[factory]},
        "data": {"file": "val.safetensors"},
        "protocol": DOUBLE,
    }
    spec = AuditSpec.model_validate(tables)
    audited = load_subject(spec, tmp_path / "model.safetensors", tmp_path, torch.device("cpu"))
    model = model.double().eval()
    exact = largest_eigenvalue(lambda: functional.cross_entropy(model(x.double()), y), list(model.parameters()))
    assert found(bench(audited, **DOUBLE), sharpness)["lambda_max"].value == pytest.approx(exact, rel=1e-3)


class Classifier(nn.Module):
    """Zeros are padding, which is masked."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, words):
        return self.model(words, attention_mask=words.ne(0).long()).logits


class NextWord(Classifier):
    def forward(self, words):
        logits = super().forward(words)
        return logits[torch.arange(len(words)), words.ne(0).sum(1) - 1]


TEXT = {"BERT": (BERT, Classifier), "GPT": (GPT2, NextWord)}


@pytest.mark.parametrize("kind", TEXT)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_transformer_with_masked_tokens_has_its_largest_eigenvalue(tmp_path: Path, kind, dtype):
    values, wrapper = TEXT[kind]
    config = transformers.AutoConfig.for_model(**values, attn_implementation="eager")
    reference = getattr(transformers, values["architectures"][0])(config)
    save(tmp_path, reference)
    write_config(tmp_path, values)
    stored = read_checkpoint(tmp_path / "model.safetensors")
    made = assemble(ModelSpec(factory="transformers"), stored, UserCode(tmp_path), torch.float64).model
    torch.manual_seed(0)
    words, y = torch.randint(1, 20, (12, 7)), torch.randint(0, 3, (12,))
    words[::2, 5:] = 0
    audited = subject(wrapper(made), cross_entropy, words, y, sizes=[8, 4], dtype=getattr(torch, dtype))
    on = bench(audited, dtype=dtype)
    assert measured(on, instrument).labels["agreement"].value == "agrees"
    whole = wrapper(reference.double().eval())
    exact = largest_eigenvalue(lambda: functional.cross_entropy(whole(words), y), list(whole.parameters()))
    assert found(on, sharpness)["lambda_max"].value == pytest.approx(exact, rel=1e-3)  # what Lanczos is asked for
