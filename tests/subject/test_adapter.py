from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from declared import BERT, save, write_config
from landscapes import DOUBLE, found
from largest_eigenvalue import largest_eigenvalue
from safetensors.torch import load_file, save_file
from subjects import bench
from torch import nn
from torch.nn import functional
from user_files import DATA, write

from landscape_audit.checks.sharpness import sharpness
from landscape_audit.errors import AuditError
from landscape_audit.spec import AuditSpec, ModelSpec
from landscape_audit.subject.checkpoint.checkpoint import read_checkpoint
from landscape_audit.subject.code.user_code import UserCode
from landscape_audit.subject.loading import load_subject
from landscape_audit.subject.model.assembly import assemble
from landscape_audit.subject.subject import Subject

peft = pytest.importorskip("peft")

BASE = """
from torch import nn
def build():
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 5), nn.Tanh(), nn.Linear(5, 3))
"""


def base() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 5), nn.Tanh(), nn.Linear(5, 3))


def adapt(folder: Path, **settings: Any) -> nn.Module:
    """A base and an adapter over it, saved by peft itself; and the model of both."""
    torch.manual_seed(0)
    model = base()
    save_file(model.state_dict(), folder / "base.safetensors")
    config = {"r": 2, "lora_alpha": 6, "lora_dropout": 0.3, "target_modules": ["0", "2"], **settings}
    whole = peft.get_peft_model(model, peft.LoraConfig(**config))
    for name, value in whole.named_parameters():
        if value.requires_grad:
            value.data += 0.4 * torch.randn(value.shape) * ("lora" in name or 0.1)
    whole.save_pretrained(folder)
    write(folder, "model.py", BASE)
    write(folder, "data.py", DATA)
    return whole.eval().double()


def audited(folder: Path) -> Subject:
    tables = {
        "model": {"factory": "model.py:build", "base": "base.safetensors"},
        "data": {"loader": "data.py:batches"},
        "protocol": DOUBLE,
    }
    spec = AuditSpec.model_validate(tables)
    return load_subject(spec, folder / "adapter_model.safetensors", folder, torch.device("cpu"))


SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "a whole head": {"modules_to_save": ["4"]},
    "biases": {"bias": "all"},
    "stabilised": {"use_rslora": True},
    "directions": {"use_dora": True},
    "ranks by module": {"rank_pattern": {"0": 3}, "alpha_pattern": {"2": 5}},
    "targets by a pattern": {"target_modules": "[02]"},
}


@pytest.mark.filterwarnings("ignore")  # peft's own, on saving
@pytest.mark.parametrize("kind", SETTINGS)
def test_an_adapter_has_the_largest_eigenvalue_of_its_own_parameters(tmp_path: Path, kind: str) -> None:
    whole = adapt(tmp_path, **SETTINGS[kind])
    subject = audited(tmp_path)
    x, y = (torch.cat([getattr(batch, side) for batch in subject.sample.batches]) for side in ("inputs", "targets"))
    trained = [value for value in whole.parameters() if value.requires_grad]
    assert subject.layout.size == sum(value.numel() for value in trained)
    exact = largest_eigenvalue(lambda: functional.cross_entropy(whole(x), y), trained)
    assert found(bench(subject, **DOUBLE), sharpness)["lambda_max"].value == pytest.approx(exact, rel=1e-8)


@pytest.mark.filterwarnings("ignore")  # peft's own, on saving
def test_the_base_is_frozen_hashed_and_told_and_its_name_is_not_fetched(tmp_path: Path) -> None:
    adapt(tmp_path)
    change(tmp_path, base_model_name_or_path="evil/\x1b[31mbase")
    subject = audited(tmp_path)
    assert set(subject.layout.names) == {f"{at}.lora_{side}.default.weight" for at in (0, 2) for side in "AB"}
    assert [file.name for file in subject.info.files] == ["adapter_model.safetensors", "base.safetensors"]
    assert subject.info.base_digest == read_checkpoint(tmp_path / "base.safetensors").digest
    assert subject.info.frozen_parameters == 73
    assert "4 tensors of a LoRA adapter audited; the base under it, 73 numbers, is frozen." in subject.adjustments
    assert any(r"'evil/\x1b[31mbase'. Nothing is fetched: " in told for told in subject.adjustments)


@pytest.mark.filterwarnings("ignore")  # peft's own, on saving
def test_a_factory_that_lays_an_adapter_itself_is_to_return_the_base(tmp_path: Path) -> None:
    adapt(tmp_path)
    body = "\nimport peft\n_base = build\ndef build():\n    config = peft.LoraConfig(target_modules=['0', '2'])\n"
    write(tmp_path, "model.py", BASE + body + "    return peft.get_peft_model(_base(), config)\n")
    with pytest.raises(AuditError) as caught:
        audited(tmp_path)
    assert "return the base model" in caught.value.remedy


def change(folder: Path, **values: Any) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "another kind": ({"peft_type": "IA3"}, "peft_type is 'IA3'; of adapters, only LORA is audited"),
    "no kind": ({"peft_type": None}, "peft_type is None"),
    "replication": ({"layer_replication": [[0, 2]]}, "layer_replication is set, which is no plain LoRA"),
    "what is not known": ({"run_this": "rm"}, "run_this is set, which is no plain LoRA"),
    "a changed base": ({"init_lora_weights": "pissa"}, "init_lora_weights = 'pissa' changes the base as well"),
    "a word for a rank": ({"r": "two"}, "r = 'two' is of type str"),
    "no rank": ({"r": 0}, "raised ValueError"),
    "another rank": ({"r": 3}, "has shape (2, 4), adapter_config.json and base expect (3, 4)"),
    "a huge rank": ({"r": 2**27}, "builds a model with more than"),
    "a costly pattern": ({"alpha_pattern": {"(a+)+$": 3}}, "is not the name of a module"),
    "nothing to save": ({"modules_to_save": ["4"]}, "has no tensor 'base_model.model.4."),
}


@pytest.mark.filterwarnings("ignore")  # peft's own, on saving
@pytest.mark.parametrize("case", WRONG)
def test_an_adapter_that_does_not_fit_is_one_message(tmp_path: Path, case: str) -> None:
    changes, told = WRONG[case]
    adapt(tmp_path)
    change(tmp_path, **changes)
    with pytest.raises(AuditError) as caught:
        audited(tmp_path)
    assert told in str(caught.value)
    assert "adapter_" in str(caught.value)


@pytest.mark.filterwarnings("ignore")  # peft's own, on saving
def test_an_adapter_without_its_base_is_told_what_it_lacks(tmp_path: Path) -> None:
    adapt(tmp_path)
    with pytest.raises(AuditError, match="is a LoRA adapter, which lies over a base model"):
        load_subject(
            AuditSpec.model_validate({"model": {"factory": "model.py:build"}, "data": {"loader": "data.py:batches"}}),
            tmp_path / "adapter_model.safetensors",
            tmp_path,
            torch.device("cpu"),
        )
    (tmp_path / "adapter_config.json").unlink()
    with pytest.raises(AuditError, match=r"adapter_config.json: no such file"):
        audited(tmp_path)


@pytest.mark.filterwarnings("ignore")  # peft's own, on saving
def test_an_adapter_lies_over_a_declared_base(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    model = transformers.BertForSequenceClassification(transformers.BertConfig(**BERT))
    save(tmp_path, model, "base.safetensors")
    write_config(tmp_path, BERT)
    whole = peft.get_peft_model(model, peft.LoraConfig(task_type="SEQ_CLS", r=2, target_modules=["query", "value"]))
    whole.save_pretrained(tmp_path / "adapter")
    spec = ModelSpec(factory="transformers", base=Path("base.safetensors"))
    stored = read_checkpoint(tmp_path / "adapter/adapter_model.safetensors")
    made = assemble(spec, stored, UserCode(tmp_path), torch.float32)
    words = torch.randint(0, 20, (4, 7))
    torch.testing.assert_close(made.model(words).logits, whole.eval()(words).logits)
    sizes = [value.numel() for value in load_file(tmp_path / "adapter/adapter_model.safetensors").values()]
    assert sum(value.numel() for value in made.model.parameters() if value.requires_grad) == sum(sizes)
