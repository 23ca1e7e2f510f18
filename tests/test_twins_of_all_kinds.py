"""Twins of adapters, of chosen parameters, of dicts and of models with a loss of their own: saved, they load again."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torchvision_operators import declare

from landscape_audit.errors import AuditError
from landscape_audit.measure import audit
from landscape_audit.results import AuditResults, Measured
from landscape_audit.spec import AuditSpec
from tests.user_files import DATA, MODEL, trained, write

declare()

TRAINING = "\n\ndef training():\n    return batches()[::-1]\n"
TWINS = {"enabled": True, "train": "data.py:training", "steps": 2, "seeds": 3, "variants": ["sam"], "lr": 0.1}
ADAPTER, SETTINGS = "adapter_model.safetensors", "adapter_config.json"


def audited(folder: Path, checkpoint: str, *, checks: dict[str, Any], **tables: Any) -> AuditResults:
    settings = {
        "model": {"factory": "model.py:build"},
        "data": {"loader": "data.py:batches"},
        "protocol": {"preset": "quick", "budgets": {"lanczos_steps": 2, "flatness_draws": 2}},
        "checks": checks,
    }
    spec = AuditSpec.model_validate({**settings, **tables})
    return audit(spec, folder / checkpoint, folder)


def saved_twin(folder: Path, checkpoint: str, twin: str, **tables: Any) -> float:
    """The loss of the twin that is saved there."""
    checks = {"only": ["sam"], "sam": {**TWINS, "save": folder / twin}}
    (check,) = audited(folder, checkpoint, checks=checks, **tables).checks
    assert isinstance(check.outcome, Measured), check.outcome
    table = next(detail for detail in check.outcome.details if detail.name == "twins")
    rows = [dict(zip([column.name for column in table.columns], row, strict=True)) for row in table.rows]
    return min(row["loss"] for row in rows if row["variant"] != "start" and row["gradients"] == rows[1]["gradients"])


def loss(folder: Path, checkpoint: str, **tables: Any) -> float:
    value = audited(folder, checkpoint, checks={"only": ["loss"]}, **tables).estimates()["loss.value"].value
    assert value is not None
    return value


def changed(folder: Path, before: str, after: str) -> set[str]:
    """The tensors that are not what they were, of two files with the same names."""
    old, new = load_file(folder / before), load_file(folder / after)
    assert old.keys() == new.keys()
    return {name for name in old if not torch.equal(old[name], new[name])}


# ------------------------------------------------------------------------------------------------------------ adapters


def adapter(folder: Path, **settings: Any) -> None:
    peft = pytest.importorskip("peft")
    write(folder, "model.py", MODEL)
    write(folder, "data.py", DATA + TRAINING)
    space: dict[str, Any] = {}
    exec(textwrap.dedent(MODEL), space)  # noqa: S102 - this project's own text
    torch.manual_seed(0)
    model = space["build"]()
    save_file(model.state_dict(), folder / "base.safetensors")
    config = {"r": 2, "lora_alpha": 6, "target_modules": ["0"], **settings}
    whole = peft.get_peft_model(model, peft.LoraConfig(**config))
    for value in whole.parameters():
        if value.requires_grad:
            value.data += 0.3 * torch.randn(value.shape)
    whole.save_pretrained(folder / "adapter")


OVER = {"model": {"factory": "model.py:build", "base": "base.safetensors"}}


@pytest.mark.filterwarnings("ignore")  # peft's own, on saving
@pytest.mark.parametrize("settings", [{"use_dora": True, "modules_to_save": ["2"]}, {"bias": "all"}], ids=str)
def test_the_twin_of_an_adapter_is_an_adapter(tmp_path: Path, settings: dict[str, Any]) -> None:
    adapter(tmp_path, **settings)
    found = saved_twin(tmp_path, f"adapter/{ADAPTER}", "adapter/twin.safetensors", **OVER)
    assert changed(tmp_path / "adapter", ADAPTER, "twin.safetensors")
    assert loss(tmp_path, "adapter/twin.safetensors", **OVER) == pytest.approx(found, rel=1e-6)


@pytest.mark.filterwarnings("ignore")  # peft's own, on saving
def test_the_twin_of_an_adapter_has_its_settings_beside_it_wherever_it_is_saved(tmp_path: Path) -> None:
    adapter(tmp_path)
    saved_twin(tmp_path, f"adapter/{ADAPTER}", "elsewhere/twin.safetensors", **OVER)
    assert (tmp_path / f"elsewhere/{SETTINGS}").read_bytes() == (tmp_path / f"adapter/{SETTINGS}").read_bytes()
    assert loss(tmp_path, "elsewhere/twin.safetensors", **OVER) > 0


@pytest.mark.filterwarnings("ignore")  # peft's own, on saving
def test_the_twin_of_an_adapter_is_not_saved_beside_the_settings_of_another(tmp_path: Path) -> None:
    adapter(tmp_path)
    other = write(tmp_path, f"elsewhere/{SETTINGS}", "{}")
    with pytest.raises(AuditError, match="is that of another adapter") as raised:
        saved_twin(tmp_path, f"adapter/{ADAPTER}", "elsewhere/twin.safetensors", **OVER)
    assert "another folder" in (raised.value.remedy or "")
    assert [path.name for path in other.parent.iterdir()] == [SETTINGS]


# -------------------------------------------------------------------------------------------- a choice of parameters


def test_a_twin_of_chosen_parameters_has_all_others_as_they_were(tmp_path: Path) -> None:
    write(tmp_path, "model.py", MODEL)
    write(tmp_path, "data.py", DATA + TRAINING)
    save_file(trained(MODEL), tmp_path / "model.safetensors")
    chosen = {"model": {"factory": "model.py:build", "parameters": ["2.*", "!*.bias"]}}
    found = saved_twin(tmp_path, "model.safetensors", "twin.safetensors", **chosen)
    assert changed(tmp_path, "model.safetensors", "twin.safetensors") == {"2.weight"}
    assert loss(tmp_path, "twin.safetensors", **chosen) == pytest.approx(found, rel=1e-6)


# ------------------------------------------------------------------------------------------- dicts, and their own loss


TAGGER = """
import torch
from torch import nn
from torch.nn import functional

class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.head = nn.Embedding(9, 4), nn.Linear(4, 9)

    def forward(self, input_ids, labels=None):
        logits = self.head(torch.tanh(self.embedding(input_ids)))
        if labels is None:
            return {"logits": logits}
        return {"loss": functional.cross_entropy(logits.flatten(0, 1), labels.flatten()), "logits": logits}

build = Tagger
"""
SENTENCES = """
import torch

def batches(lengths=(6, 6, 6)):
    g = torch.Generator().manual_seed(3)
    ids = [torch.randint(0, 9, (4, n), generator=g) for n in lengths]
    return [{"input_ids": each, "labels": each.where(each > 2, -100), "id": torch.arange(4)} for each in ids]

def training():
    return batches((5, 5))

def ragged():
    return batches((5, 7))
"""


def tagger(folder: Path) -> None:
    write(folder, "model.py", TAGGER)
    write(folder, "data.py", SENTENCES)
    save_file(trained(TAGGER), folder / "model.safetensors")


@pytest.mark.parametrize("name", ["model", "masked_lm"])
def test_a_twin_is_trained_on_dicts_and_by_the_models_own_loss(tmp_path: Path, name: str) -> None:
    tagger(tmp_path)
    found = saved_twin(tmp_path, "model.safetensors", "twin.safetensors", loss={"name": name})
    assert changed(tmp_path, "model.safetensors", "twin.safetensors") == {
        "embedding.weight",
        "head.weight",
        "head.bias",
    }
    assert loss(tmp_path, "twin.safetensors", loss={"name": name}) == pytest.approx(found, rel=1e-6)


def test_training_sentences_of_several_lengths_are_refused_with_what_to_do(tmp_path: Path) -> None:
    tagger(tmp_path)
    checks = {"only": ["sam"], "sam": {**TWINS, "train": "data.py:ragged"}}
    with pytest.raises(AuditError, match=r"data.py:ragged: its batches have examples of different shapes") as raised:
        audited(tmp_path, "model.safetensors", checks=checks, loss={"name": "model"})
    assert (raised.value.remedy or "").startswith("Pad all examples to one shape")
