"""With --no-code no user's module is imported, whatever the spec says."""

from __future__ import annotations

import sys

import pytest
import torch
from command_line import outcome
from declared import save
from safetensors.torch import save_file

TRAP = "open('imported', 'w').close()\n"


@pytest.fixture
def declared(tmp_path, monkeypatch):
    """A project of data alone, with modules beside it that leave a mark when they are imported."""
    timm = pytest.importorskip("timm")
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    save(tmp_path, timm.create_model("test_vit3", num_classes=3, img_size=32))
    save_file({"inputs": torch.randn(6, 3, 32, 32), "targets": torch.arange(6) % 3}, tmp_path / "val.safetensors")
    for name in ("code", "losses", "kernels", "flash_attn", "deepspeed", "timm", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text(TRAP)
    return tmp_path


def write_spec(folder, factory="timm:test_vit3", data='file = "val.safetensors"', loss="cross_entropy", more=""):
    (folder / "audit.toml").write_text(
        f'[model]\nfactory = "{factory}"\nkwargs = {{ num_classes = 3, img_size = 32 }}\n[data]\n{data}\n'
        f'[loss]\nname = "{loss}"\n[protocol]\npreset = "quick"\n{more}'
    )


CODE = {
    "model": ({"factory": "code.py:build"}, "[model] factory = 'code.py:build'"),
    "a module": ({"factory": "code:build"}, "[model] factory = 'code:build'"),
    "like a library": ({"factory": "transformers:pipeline"}, "[model] factory = 'transformers:pipeline'"),
    "deeper in a library": ({"factory": "timm.models:create_model"}, "[model] factory"),
    "loader": ({"data": 'loader = "code.py:batches"'}, "[data] loader = 'code.py:batches'"),
    "loss": ({"loss": "losses.py:mine"}, "[loss] name = 'losses.py:mine'"),
    "training": (
        {"more": '[checks.sam]\nenabled = true\ntrain = "code.py:training"\n'},
        "[checks.sam] train = 'code.py:training'",
    ),
}


@pytest.mark.parametrize("command", ["run", "plan", "doctor"])
@pytest.mark.parametrize("case", CODE)
def test_a_setting_that_would_import_code_is_refused_by_name(declared, monkeypatch, capsys, command, case):
    settings, told = CODE[case]
    write_spec(declared, **settings)
    code, out, err = outcome([command, "model.safetensors", "--no-code"], monkeypatch, capsys)
    assert code == 2
    assert f"--no-code: {told}" in err + out
    assert not (declared / "imported").exists()


def test_code_given_by_a_flag_is_refused_too(declared, monkeypatch, capsys):
    write_spec(declared)
    code, _, err = outcome(["run", "model.safetensors", "--no-code", "--model", "code.py:build"], monkeypatch, capsys)
    assert (code, "[model] factory = 'code.py:build' would import code" in err) == (2, True)


def test_a_declared_model_on_a_file_of_data_is_audited_and_no_module_is_imported(declared, monkeypatch, capsys):
    write_spec(declared)
    before = set(sys.path)
    code, _, err = outcome(
        ["run", "model.safetensors", "--no-code", "--no-pdf", "--only", "loss", "-q"], monkeypatch, capsys
    )
    assert code == 0, err
    assert set(sys.path) == before
    assert (declared / "audit-model/results.json").exists()
    assert not (declared / "imported").exists()
