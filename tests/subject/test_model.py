from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from user_files import write

from landscape_audit.errors import CheckpointError, ModelError
from landscape_audit.spec import ModelSpec
from landscape_audit.subject.checkpoint.checkpoint import read_checkpoint
from landscape_audit.subject.code.user_code import UserCode
from landscape_audit.subject.model.factory import build_model
from landscape_audit.subject.model.filling import fill


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(4, 5)
        self.head = nn.Linear(5, 3)
        self.register_buffer("mask", torch.ones(2), persistent=False)


def tensors() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(value.shape, generator=generator) for name, value in Net().state_dict().items()}


def loaded(
    folder: Path, stored: dict[str, torch.Tensor], model: nn.Module | None = None, **settings: Any
) -> tuple[nn.Module, tuple[str, ...]]:
    save_file(stored, folder / "m.safetensors")
    model = Net() if model is None else model
    spec = ModelSpec(factory="nets:build", **settings)
    return model, fill(model, read_checkpoint(folder / "m.safetensors"), spec, torch.float32).told


def refusal(folder: Path, stored: dict[str, torch.Tensor], model: nn.Module | None = None, **settings: Any) -> str:
    with pytest.raises(CheckpointError) as caught:
        loaded(folder, stored, model, **settings)
    return str(caught.value)


def renamed(old: str, new: str) -> dict[str, torch.Tensor]:
    return {name.replace(old, new): tensor for name, tensor in tensors().items()}


def test_every_tensor_arrives_and_the_model_is_in_eval_mode(tmp_path: Path) -> None:
    model, told = loaded(tmp_path, tensors())
    assert all(torch.equal(value, tensors()[name]) for name, value in model.state_dict().items())
    assert not model.training
    assert told == ()


def test_a_missing_tensor_names_both_sides_and_the_renaming(tmp_path: Path) -> None:
    stored = renamed("head.weight", "classifier.weight")
    assert refusal(tmp_path, stored) == (
        "m.safetensors: no tensor 'head.weight', which nets:build expects with shape (3, 5).\n"
        "  The file has 'classifier.weight' (3, 5), which the model does not.\n"
        '  Rename it with  [model] rename = {"classifier" = "head"}'
    )


def test_the_name_of_a_tensor_cannot_print_a_line_of_its_own(tmp_path: Path) -> None:
    forged = "landscape-audit: PASS  1 passed, 0 failed, 0 undecided  (exit 0)"
    found = refusal(tmp_path, renamed("head.weight", f"x\n::error::forged\n{forged}"))
    assert not [line for line in found.splitlines() if line.startswith(("::", forged))]


def test_the_suggested_renaming_works(tmp_path: Path) -> None:
    stored = renamed("head", "classifier")
    assert 'rename = {"classifier" = "head"}' in refusal(tmp_path, stored)
    model, told = loaded(tmp_path, stored, rename={"classifier": "head"})
    assert torch.equal(model.head.weight, tensors()["head.weight"])
    assert told == ()


WRAPPED = ["module", "_orig_mod", "model", "_orig_mod.module", "module.module", "any.name", "module._orig_mod.net"]


@pytest.mark.parametrize("prefix", WRAPPED)
def test_a_prefix_that_all_names_share_is_removed_and_told_where_the_file_then_fits(
    tmp_path: Path, prefix: str
) -> None:
    model, told = loaded(tmp_path, {f"{prefix}.{name}": tensor for name, tensor in tensors().items()})
    assert torch.equal(model.head.weight, tensors()["head.weight"])
    (sentence,) = told
    last = prefix.replace("_orig_mod.", "").replace("._orig_mod", "")
    assert ("'_orig_mod' removed" in sentence) == ("_orig_mod" in prefix)
    assert last == "_orig_mod" or f"The prefix '{last}.' removed from every tensor's name." in sentence


def test_what_torch_compile_puts_into_the_middle_of_names_is_removed(tmp_path: Path) -> None:
    model, told = loaded(tmp_path, renamed("body.", "body._orig_mod."))
    assert torch.equal(model.body.weight, tensors()["body.weight"])
    assert told == ("'_orig_mod' removed from the tensors' names.",)


def test_a_prefix_that_leaves_a_tensor_over_is_an_error_with_the_settings_that_work(tmp_path: Path) -> None:
    stored = {f"module.{name}": tensor for name, tensor in tensors().items()} | {"ema.decay": torch.ones(1)}
    told = refusal(tmp_path, stored)
    assert '[model] prefix = "module"' in told
    assert "strict = false" in told
    model, _ = loaded(tmp_path, stored, prefix="module", strict=False)
    assert torch.equal(model.head.weight, tensors()["head.weight"])


def test_a_prefix_is_not_removed_where_a_shape_would_still_differ(tmp_path: Path) -> None:
    stored = {f"module.{name}": tensor for name, tensor in tensors().items()} | {"module.head.bias": torch.ones(9)}
    assert "not there" in refusal(tmp_path, stored)


def test_a_prefix_that_is_set_is_the_only_one_removed(tmp_path: Path) -> None:
    stored = {f"_orig_mod.module.{name}": tensor for name, tensor in tensors().items()}
    assert '[model] prefix = "_orig_mod.module"' in refusal(tmp_path, stored, prefix="_orig_mod")


def test_optimiser_and_average_tensors_are_told_by_group(tmp_path: Path) -> None:
    extra = {f"optimizer.state.{i}.exp_avg": torch.ones(2) for i in range(8)} | {
        f"ema.{name}": tensor.clone() for name, tensor in tensors().items()
    }
    assert "'optimizer.*' (8), 'ema.*' (4), which the model does not" in refusal(tmp_path, tensors() | extra)
    _, told = loaded(tmp_path, tensors() | extra, strict=False)
    assert told == ("12 tensors of the checkpoint not in the model, ignored: 'optimizer.*' (8), 'ema.*' (4).",)


def test_tensors_left_out_under_strict_false_do_not_change_what_is_loaded(tmp_path: Path) -> None:
    stored = tensors() | {"x.body.weight": torch.zeros(5, 4)}
    model, _ = loaded(tmp_path, stored, strict=False)
    assert torch.equal(model.body.weight, tensors()["body.weight"])


def test_a_buffer_that_the_model_makes_itself_may_be_in_the_file_with_the_same_numbers(tmp_path: Path) -> None:
    _, told = loaded(tmp_path, tensors() | {"mask": torch.ones(2)})
    assert told == ("1 buffer of the checkpoint made by the model: 'mask'.",)
    assert "'mask'" in refusal(tmp_path, tensors() | {"mask": torch.zeros(2)})


def test_batch_normalisation_without_its_count_of_batches_is_loaded(tmp_path: Path) -> None:
    stored = nn.BatchNorm1d(3).state_dict()
    del stored["num_batches_tracked"]
    model, told = loaded(tmp_path, stored | {"running_mean": torch.full((3,), 2.0)}, nn.BatchNorm1d(3))
    assert model.running_mean.eq(2).all()
    assert told == ()


def older_weight_norm() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return nn.utils.weight_norm(nn.Linear(4, 3))


@pytest.mark.parametrize("prefix", ["", "module."])
def test_weight_norm_of_either_age_goes_into_a_model_of_either_age(tmp_path: Path, prefix: str) -> None:
    x = torch.randn(5, 4, generator=torch.Generator().manual_seed(1))
    makers = (older_weight_norm, lambda: nn.utils.parametrizations.weight_norm(nn.Linear(4, 3)))
    for stored_by in makers:
        original = stored_by()
        stored = {f"{prefix}{name}": tensor.clone() for name, tensor in original.state_dict().items()}
        for loaded_by in makers:
            model, _ = loaded(tmp_path, stored, loaded_by())
            assert torch.equal(model(x), original(x))


def test_a_prefix_that_the_model_has_and_the_file_has_not_is_suggested_as_a_renaming(tmp_path: Path) -> None:
    told = refusal(tmp_path, tensors(), nn.ModuleDict({"net": Net()}))
    assert 'rename = {"body" = "net.body", "head" = "net.head"}' in told
    model, _ = loaded(
        tmp_path, tensors(), nn.ModuleDict({"net": Net()}), rename={"body": "net.body", "head": "net.head"}
    )
    assert torch.equal(model["net"].head.weight, tensors()["head.weight"])


def test_names_are_renamed_on_dots_only_and_the_longest_part_wins(tmp_path: Path) -> None:
    stored = {"b.weight": torch.ones(5, 4), "b.bias": torch.ones(5), "bb.w": torch.ones(3, 5), "bb.bias": torch.ones(3)}
    model, _ = loaded(tmp_path, stored, rename={"b": "body", "bb": "head", "bb.w": "head.weight"})
    assert model.head.weight.eq(1).all()


def test_a_mis_shaped_tensor_tells_both_shapes(tmp_path: Path) -> None:
    told = refusal(tmp_path, tensors() | {"head.weight": torch.ones(10, 5)})
    assert "'head.weight' has shape (10, 5), nets:build expects (3, 5)." in told
    assert "kwargs" in told


def test_all_differences_are_one_error(tmp_path: Path) -> None:
    stored = tensors() | {"head.weight": torch.ones(10, 5), "extra": torch.ones(1)}
    del stored["body.bias"]
    told = refusal(tmp_path, stored)
    assert all(word in told for word in ("no tensor 'body.bias'", "(10, 5)", "The file has 'extra' (1,)"))


def test_unexpected_tensors_are_an_error_unless_told_to_be_ignored(tmp_path: Path) -> None:
    stored = tensors() | {"ema.weight": torch.ones(9)}
    assert "strict = false" in refusal(tmp_path, stored)
    _, told = loaded(tmp_path, stored, strict=False)
    assert told == ("1 tensor of the checkpoint not in the model, ignored: 'ema.weight'.",)


def test_a_missing_tensor_is_an_error_even_when_not_strict(tmp_path: Path) -> None:
    stored = tensors()
    del stored["body.bias"]
    assert "no tensor 'body.bias'" in refusal(tmp_path, stored, strict=False)


def test_a_prefix_or_renaming_that_touches_nothing_is_an_error(tmp_path: Path) -> None:
    assert "begins with 'modul', which [model] prefix speaks of" in refusal(tmp_path, tensors(), prefix="modul.")
    told = refusal(tmp_path, tensors(), rename={"haed": "head"})
    assert "begins with 'haed', which [model] rename speaks of" in told
    assert "Did you mean 'head'?" in told


def test_two_tensors_may_not_get_one_name(tmp_path: Path) -> None:
    stored = tensors() | {"other.weight": torch.ones(3, 5)}
    assert "would both be named 'head.weight'" in refusal(tmp_path, stored, rename={"other": "head"})


def test_tied_tensors_that_differ_in_the_file_are_refused(tmp_path: Path) -> None:
    model = nn.ModuleDict({"a": nn.Linear(2, 2, bias=False), "b": nn.Linear(2, 2, bias=False)})
    model["b"].weight = model["a"].weight
    assert "are one tied tensor" in refusal(
        tmp_path, {"a.weight": torch.ones(2, 2), "b.weight": torch.zeros(2, 2)}, model
    )


def in_shards(folder: Path, *shards: dict[str, torch.Tensor]) -> Path:
    """A checkpoint of several files, and the index that names them."""
    names = [f"model-{number:05d}-of-{len(shards):05d}.safetensors" for number in range(1, len(shards) + 1)]
    for name, stored in zip(names, shards, strict=True):
        save_file(stored, folder / name)
    listed = {tensor: name for name, stored in zip(names, shards, strict=True) for tensor in stored}
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": listed}))
    return index


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.body, self.head = nn.Embedding(6, 4), nn.Linear(4, 4), nn.Linear(4, 6, bias=False)
        self.head.weight = self.embedding.weight


@pytest.mark.parametrize("stored_as", ["embedding", "head"])
def test_a_tied_tensor_that_is_stored_once_over_all_shards_fills_both_of_its_places(
    tmp_path: Path, stored_as: str
) -> None:
    body = {"body.weight": torch.randn(4, 4), "body.bias": torch.randn(4)}
    index = in_shards(tmp_path, {f"{stored_as}.weight": torch.randn(6, 4)}, body)
    stored, model = read_checkpoint(index), Tied()
    names = fill(model, stored, ModelSpec(factory="nets:build"), torch.float32).names
    assert model.head.weight is model.embedding.weight
    assert torch.equal(model.head.weight, stored.tensors[f"{stored_as}.weight"])
    assert torch.equal(model.body.bias, body["body.bias"])
    assert set(names) == {*body, f"{stored_as}.weight"}


def test_a_tied_tensor_that_two_shards_hold_under_its_two_names_must_be_one(tmp_path: Path) -> None:
    one, body = torch.randn(6, 4), {"body.weight": torch.randn(4, 4), "body.bias": torch.randn(4)}
    spec = ModelSpec(factory="nets:build")
    stored = read_checkpoint(in_shards(tmp_path, {"embedding.weight": one}, {"head.weight": one, **body}))
    model = Tied()
    fill(model, stored, spec, torch.float32)
    assert torch.equal(model.embedding.weight, one)
    other = read_checkpoint(in_shards(tmp_path, {"embedding.weight": one}, {"head.weight": one + 1, **body}))
    with pytest.raises(CheckpointError, match="are one tied tensor"):
        fill(Tied(), other, spec, torch.float32)


def test_quantised_weights_are_refused(tmp_path: Path) -> None:
    stored = tensors() | {"head.weight": torch.ones(3, 5, dtype=torch.int8)}
    assert "'head.weight' is stored in torch.int8, the model keeps it in torch.float32" in refusal(tmp_path, stored)


def test_complex_buffers_stay_complex(tmp_path: Path) -> None:
    model = Net()
    model.register_buffer("rotation", torch.tensor([1j]))
    loaded(tmp_path, tensors() | {"rotation": torch.tensor([2j])}, model)
    assert model.rotation.item() == 2j


def test_hostile_names_reach_the_message_harmlessly(tmp_path: Path) -> None:
    told = refusal(tmp_path, tensors() | {"x\x1b[31m\x07": torch.ones(1)})
    assert r"'x\x1b[31m\x07'" in told
    assert "\x1b" not in told


BUILD = "import torch\nfrom torch import nn\ndef build(**kwargs):\n    "


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("return nn.Linear", "returned type, not a torch.nn.Module"),
        ("return nn.ReLU()", "the model has no trainable parameters"),
        ("return nn.Linear(2, 2).requires_grad_(False)", "the model has no trainable parameters"),
        ("return nn.Linear(2, 2, dtype=torch.complex64)", "'weight' is torch.complex64"),
        ("return nn.LazyLinear(2)", "the parameter 'weight' has no shape yet"),
        ("return nn.Linear('wide')", r"raised TypeError: .*\(model.py, line 4\)"),
        ("raise SystemExit(0)", r"raised SystemExit: 0 \(model.py, line 4\)"),
    ],
)
def test_a_factory_that_gives_no_trainable_model_is_told_why(tmp_path: Path, body: str, told: str) -> None:
    write(tmp_path, "model.py", BUILD + body)
    with pytest.raises(ModelError, match=rf"model.py:build: {told}"):
        build_model(ModelSpec(factory="model.py:build"), UserCode(tmp_path))


def test_a_wrong_argument_is_the_factorys_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"torch.nn:Linear: raised TypeError: .*'depth'"):
        build_model(ModelSpec(factory="torch.nn:Linear", kwargs={"depth": 3}), UserCode(tmp_path))


@pytest.mark.filterwarnings("ignore:.*script_method:DeprecationWarning")  # torch's own, on importing the compiler
def test_compiled_models_are_unwrapped_at_every_depth(tmp_path: Path) -> None:
    write(
        tmp_path,
        "model.py",
        BUILD
        + "inner = torch.compile(nn.Linear(2, 2)); m = nn.Sequential(inner); m.compile(); return torch.compile(m)",
    )
    model, _ = build_model(ModelSpec(factory="model.py:build"), UserCode(tmp_path))
    assert [type(module) for module in model.modules()] == [nn.Sequential, nn.Linear]
    assert model._compiled_call_impl is None
