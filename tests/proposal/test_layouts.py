"""Networks of libraries are told by their tensors, and nothing else is taken for one."""

from __future__ import annotations

import json
import os
import tomllib

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision_operators import declare

from landscape_audit.proposal.layouts import guess
from landscape_audit.proposal.proposal import propose
from landscape_audit.proposal.weights import Weights
from landscape_audit.subject.checkpoint.header import Header, Stored, read_header

declare()
timm = pytest.importorskip("timm")
torchvision = pytest.importorskip("torchvision")


def of_module(model: nn.Module) -> Weights:
    stored = {name: Stored("F32", tuple(value.shape)) for name, value in model.state_dict().items()}
    return Weights.of(Header(stored, {}, 1))


@pytest.mark.parametrize(
    "name", ["resnet18", "resnet50", "vgg11", "vgg13_bn", "mobilenet_v2", "efficientnet_b0", "densenet121"]
)
def test_a_network_of_torchvision_is_told_by_its_tensors(name):
    with torch.device("meta"):
        model = torchvision.models.get_model(name, num_classes=10)
    found = guess(of_module(model))
    assert found is not None
    assert (found.factory, found.kwargs) == (f"torchvision:{name}", {"num_classes": 10})


@pytest.mark.parametrize("name", ["vit_b_16", "vit_b_32", "vit_l_16"])
def test_a_vision_transformer_of_torchvision_is_told_by_its_tensors(name):
    with torch.device("meta"):
        found = guess(of_module(torchvision.models.get_model(name)))
    assert found is not None
    assert (found.factory, found.kwargs) == (f"torchvision:{name}", {})


def test_a_vision_transformer_of_timm_is_told_by_its_tensors():
    with torch.device("meta"):
        model = timm.create_model("vit_tiny_patch16_224", num_classes=5, img_size=32)
    found = guess(of_module(model))
    assert found is not None
    assert found.factory == "timm:vit_tiny_patch16_224"
    assert found.kwargs == {"img_size": 32, "num_classes": 5}


def test_a_layout_is_a_guess_that_stays_commented(tmp_path):
    with torch.device("meta"):
        write_header(tmp_path / "model.safetensors", torchvision.models.resnet18(num_classes=10))
    found = propose(tmp_path / "model.safetensors", tmp_path / "audit.toml")
    assert tomllib.loads(found.text)["model"] == {}
    assert '# factory = "torchvision:resnet18"\n# kwargs = { num_classes = 10 }\n' in found.text
    assert "A guess by names and shapes" in found.text
    assert any(line.startswith("[model] factory") for line in found.missing)


def write_header(path, model):
    """A checkpoint of zeros that take no room."""
    entries, end = {}, 0
    for name, value in model.state_dict().items():
        begin, end = end, end + 4 * value.numel()
        entries[name] = {"dtype": "F32", "shape": list(value.shape), "data_offsets": [begin, end]}
    header = json.dumps(entries).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    os.truncate(path, 8 + len(header) + end)


@pytest.mark.parametrize(
    "tensors",
    [
        {"0.weight": torch.zeros(8, 6), "2.weight": torch.zeros(3, 8)},
        {"fc.weight": torch.zeros(2, 2)},
        {"features.0.weight": torch.zeros(64, 3, 3, 3)},
    ],
)
def test_a_network_of_ones_own_is_not_taken_for_another(tmp_path, tensors):
    save_file(tensors, tmp_path / "model.safetensors")
    assert guess(Weights.of(read_header(tmp_path / "model.safetensors"))) is None
