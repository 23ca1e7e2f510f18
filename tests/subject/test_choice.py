from __future__ import annotations

from pathlib import Path

import pytest
import torch
from subjects import bench, dense_hessian
from torch import nn
from user_files import MODEL, subject_in, wrapped, write

from landscape_audit.errors import ModelError
from landscape_audit.probes.krylov import HessianKrylov
from landscape_audit.spec import AuditSpec, ModelSpec
from landscape_audit.subject.loading import load_subject
from landscape_audit.subject.model.choice import choose
from landscape_audit.subject.subject import Subject


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(5, 3)
        self.norm = nn.LayerNorm(3)
        self.head = nn.Linear(3, 5, bias=False)
        self.head.weight = self.embed.weight
        self.norm.bias.requires_grad = False


def chosen(*globs: str) -> tuple[set[str], tuple[str, ...]]:
    model = Tied()
    flags = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    found = choose(model, ModelSpec(factory="nets:build", parameters=globs))
    assert flags == {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    return set(found.names), found.told


def refusal(*globs: str) -> ModelError:
    with pytest.raises(ModelError) as caught:
        chosen(*globs)
    return caught.value


def test_without_globs_the_trainable_parameters_are_audited_and_nothing_is_told() -> None:
    assert chosen() == ({"embed.weight", "norm.weight"}, ())


def test_globs_add_up_and_those_after_an_exclamation_mark_are_left_out() -> None:
    assert chosen("embed.*", "norm.w*")[0] == {"embed.weight", "norm.weight"}
    assert chosen("*", "!embed.*")[0] == {"norm.weight", "norm.bias"}
    assert chosen("!*norm*")[0] == {"embed.weight"}


def test_a_tied_parameter_goes_by_any_of_its_names() -> None:
    assert chosen("head.*")[0] == {"embed.weight"}
    assert chosen("!head.*")[0] == {"norm.weight"}


def test_what_the_factory_froze_and_a_glob_names_is_audited_and_told() -> None:
    names, told = chosen("norm.*")
    assert names == {"norm.weight", "norm.bias"}
    assert told == (
        "6 of 21 parameters audited, by 'norm.*'; the others frozen.",
        "1 parameter tensor audited that the factory had frozen: 'norm.bias'.",
    )


def test_a_glob_that_matches_nothing_suggests_one_that_does() -> None:
    error = refusal("nomr.*")
    assert error.what == "[model] parameters: 'nomr.*' matches no parameter."
    assert error.remedy == "Did you mean 'norm.*'?"
    assert refusal("norm.*", "!xyz").remedy == "There are embed.*, norm.*, head.*"


def test_globs_that_leave_nothing_are_an_error() -> None:
    assert "leave no parameter of nets:build" in refusal("norm.*", "!norm.*").what


def part_of(folder: Path, *globs: str, model: str = MODEL, **protocol: str) -> Subject:
    """The default subject, of which the globs choose."""
    subject_in(folder)
    write(folder, "model.py", model)
    tables = {
        "model": {"factory": "model.py:build", "parameters": globs},
        "data": {"loader": "data.py:batches"},
        "protocol": protocol,
    }
    return load_subject(AuditSpec.model_validate(tables), folder / "model.safetensors", folder, torch.device("cpu"))


@pytest.mark.parametrize("globs", [("!*.bias",), ("0.bias", "2.weight")])
def test_lambda_max_is_that_of_the_chosen_block_of_the_hessian(tmp_path: Path, globs: tuple[str, ...]) -> None:
    whole = subject_in(tmp_path)
    part = part_of(tmp_path, *globs, dtype="float64")
    names = set(part.layout.names)
    assert names < set(whole.layout.names)
    kept = torch.cat(
        [torch.arange(b.offset, b.offset + b.size) for b in whole.layout.blocks if b.name in part.layout.names]
    )
    block = dense_hessian(whole)[kept][:, kept]
    space = bench(part, preset="quick", budgets={"lanczos_steps": 40}, dtype="float64").take(HessianKrylov())
    assert space.ritz_values[-1] == pytest.approx(torch.linalg.eigvalsh(block)[-1].item(), rel=1e-6)
    assert part.info.parameters == len(kept)
    assert part.info.frozen_parameters == whole.info.parameters - len(kept)
    assert part.info.parameter_globs == globs


def test_a_model_that_its_factory_froze_whole_can_be_audited_where_globs_choose(tmp_path: Path) -> None:
    frozen = wrapped("m.requires_grad_(False)")
    part = part_of(tmp_path, "2.*", model=frozen)
    assert part.layout.names == ("2.weight", "2.bias")
    assert not any(parameter.requires_grad for parameter in part.model.parameters())


def test_one_glob_may_stand_without_brackets() -> None:
    assert ModelSpec(factory="nets:build", parameters="head.*").parameter_globs == ("head.*",)
