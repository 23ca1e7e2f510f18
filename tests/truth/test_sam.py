"""SAM against its closed forms, and twins against what makes them comparable."""

from __future__ import annotations

import json
import math
import os
from dataclasses import replace

import pytest
import torch
from known_trainings import Valleys, line
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from subjects import cross_entropy, half_square, measured, with_course
from torch import nn
from torch.nn import functional

from landscape_audit.checks.sam import sam
from landscape_audit.config_error import validated
from landscape_audit.errors import ConfigError, LossError, ModelError, OutputError, UsageError
from landscape_audit.measure import audit
from landscape_audit.probes import sam_twins
from landscape_audit.probes.ascent import ADAPTIVE_FLOOR
from landscape_audit.probes.facts import AuditFacts
from landscape_audit.probes.kept_twins import SeedFound
from landscape_audit.probes.sam_twins import SamTwins
from landscape_audit.results import NotApplicable
from landscape_audit.spec import AuditSpec, ChecksSpec, SamSpec
from landscape_audit.subject.loading import load_subject
from landscape_audit.training.sam import Asam, Sam, take_step
from landscape_audit.training.twins import read_course, trained

RATE = 0.1


class Quadratic(nn.Module):
    """θᵀHθ/2 over two parameters, so that the ascent's norm must be over both."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        root = torch.randn(5, 5, generator=generator, dtype=torch.float64)
        self.H = root @ root.T
        theta = torch.randn(5, generator=generator, dtype=torch.float64)
        self.a, self.b = nn.Parameter(theta[:2].clone()), nn.Parameter(theta[2:].clone())

    @property
    def theta(self):
        return torch.cat([self.a, self.b])

    def loss(self):
        return 0.5 * self.theta @ self.H @ self.theta


def after_one_step(model, loss, ascent=None, **settings):
    take_step(model, torch.optim.SGD(model.parameters(), lr=RATE, **settings), loss, ascent)
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def test_a_sam_step_on_a_quadratic_is_its_closed_form():
    model = Quadratic()
    H, theta = model.H, model.theta.detach()
    g = H @ theta
    found = after_one_step(model, model.loss, Sam(0.3))
    torch.testing.assert_close(found, theta - RATE * H @ (theta + 0.3 * g / g.norm()), rtol=1e-13, atol=1e-13)


def test_an_asam_step_on_a_quadratic_is_its_closed_form():
    model = Quadratic()
    H, theta = model.H, model.theta.detach()
    g, T = H @ theta, theta.abs() + ADAPTIVE_FLOOR
    found = after_one_step(model, model.loss, Asam(0.3))
    expected = theta - RATE * H @ (theta + 0.3 * T**2 * g / (T * g).norm())
    torch.testing.assert_close(found, expected, rtol=1e-13, atol=1e-13)


def test_weight_decay_is_in_the_step_and_not_in_the_ascent():
    model = Quadratic()
    H, theta = model.H, model.theta.detach()
    g = H @ theta
    found = after_one_step(model, model.loss, Sam(0.3), weight_decay=0.5)
    expected = theta - RATE * (H @ (theta + 0.3 * g / g.norm()) + 0.5 * theta)
    torch.testing.assert_close(found, expected, rtol=1e-13, atol=1e-13)


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3))


X = torch.randn(16, 4, generator=torch.Generator().manual_seed(1))
Y = (X[:, 0] > 0).long()


@pytest.mark.parametrize("ascent", [Sam(0.0), Asam(0.0)])
def test_a_radius_of_zero_is_the_base_step_bit_for_bit_dropout_and_statistics_included(ascent):
    states = []
    for how in (None, ascent):
        model = network()
        torch.manual_seed(7)
        optimiser = torch.optim.SGD(model.parameters(), lr=RATE, momentum=0.9)
        for _ in range(3):
            take_step(model, optimiser, lambda model=model: functional.cross_entropy(model(X), Y), how)
        states.append(model.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_statistics_of_batch_normalisation_are_those_of_one_plain_forward():
    model, plain = network(), network()
    plain(X)
    after_one_step(model, lambda: functional.cross_entropy(model(X), Y), Sam(0.5))
    for (_, found), (_, expected) in zip(model.named_buffers(), plain.named_buffers(), strict=True):
        assert torch.equal(found, expected)


def in_turn(*losses):
    left = iter(losses)

    def loss():
        return next(left)().sum()

    return loss


def test_a_parameter_that_only_the_first_pass_uses_is_back_where_it_was():
    one, other = nn.Parameter(torch.tensor([1.0])), nn.Parameter(torch.tensor([2.0]))
    model = nn.ParameterList([one, other])
    after_one_step(model, in_turn(lambda: one * other, lambda: one**2), Sam(0.1))
    assert other.item() == 2.0
    assert one.item() == pytest.approx(1 - RATE * 2 * (1 + 0.1 * 2 / math.sqrt(5)))


def test_parameters_are_back_when_the_second_pass_raises():
    model = Quadratic()
    before = model.theta.detach()
    with pytest.raises(StopIteration):
        after_one_step(model, in_turn(model.loss), Sam(0.5))
    assert torch.equal(model.theta.detach(), before)


@pytest.mark.parametrize("ascent", [Sam(0.1), Asam(0.1)])
def test_a_zero_gradient_divides_nothing(ascent):
    model = Quadratic()
    with torch.no_grad():
        model.a.zero_()
        model.b.zero_()
    assert torch.equal(after_one_step(model, model.loss, ascent), torch.zeros(5, dtype=torch.float64))


# --------------------------------------------------------------------------------------------------------------- twins


def test_where_one_end_of_a_valley_is_sharper_the_sam_twin_is_flatter():
    # λ_max along the valley first·second = 1 is about first² + second²: 16 at the start, 2 where they balance.
    on = with_course(Valleys(), *line(0), steps=200, lr=0.03, rho=0.3, momentum=0.0, variants=["sam"])
    found = measured(on, sam)
    assert found.estimates["lambda_max_ratio"].high < 0.9
    assert "flatter by λ_max" in found.labels["flatter"].reason
    base = on.take(SamTwins()).seeds[0].twin("base", 200)
    assert base.lambda_max > 10


def test_twins_have_equal_gradients_in_one_accounting_and_equal_steps_in_the_other():
    on = with_course(nn.Linear(1, 1), *line(0), steps=10)
    seed = on.take(SamTwins()).seeds[0]
    cost = {(twin.variant, twin.steps): twin.gradients for twin in seed.twins}
    assert cost == {("base", 10): 10, ("sam", 5): 10, ("sam", 10): 20, ("asam", 5): 10, ("asam", 10): 20}


def test_what_training_and_measuring_cost_is_what_was_planned_but_for_products_that_converged_early():
    on = with_course(nn.Linear(1, 1), *line(0), steps=10)
    planned = SamTwins().cost(on.size)
    on.take(SamTwins())
    spent = on.ledgers["sam_twins"].cost
    assert spent.gradients == pytest.approx(planned.gradients)
    assert spent.forwards == planned.forwards
    assert spent.hvps <= planned.hvps


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_twins_without_a_radius_are_one_and_an_audit_leaves_its_model_alone(optimiser):
    model = network().eval()
    loss = lambda out, y: half_square(out, functional.one_hot(y, 3).float())  # noqa: E731 - a loss for one test
    on = with_course(model, X, Y, loss, steps=4, rho=0.0, variants=["sam"], optimiser=optimiser)
    before, random = on.subject.state(), torch.get_rng_state()
    generator = lambda: on.generator("x")  # noqa: E731 - equal streams
    base, other = (
        trained(on.subject, on.course, variant, generator(), (4,), lambda _: None)[0] for variant in ("base", "sam")
    )
    assert torch.equal(base.theta, other.theta)
    assert not torch.equal(base.theta, on.subject.theta)
    assert not torch.equal(base.fixed["1.running_mean"], on.subject.fixed["1.running_mean"])
    on.take(SamTwins())
    assert on.subject.state() == before
    assert torch.equal(torch.get_rng_state(), random)


def test_frozen_parameters_and_the_statistics_of_frozen_normalisation_stay():
    model = network().eval()
    model[1].requires_grad_(requires_grad=False)
    loss = lambda out, y: half_square(out, functional.one_hot(y, 3).float())  # noqa: E731 - a loss for one test
    on = with_course(model, X, Y, loss, steps=4)
    (twin,) = trained(on.subject, on.course, "sam", on.generator("x"), (4,), lambda _: None)
    kept = dict(model.named_buffers()) | {name: p for name, p in model.named_parameters() if not p.requires_grad}
    assert all(torch.equal(twin.fixed[name], value) for name, value in kept.items())


def test_a_twin_that_diverges_is_a_caveat_and_no_number():
    on = with_course(nn.Linear(1, 1), *line(0), steps=200, lr=100.0, momentum=0.0, variants=["sam"])
    found = measured(on, sam)
    assert found.estimates["loss_difference"].nonfinite == "nan"
    assert any("diverged" in caveat for caveat in found.caveats)
    seed = on.take(SamTwins()).seeds[0]
    assert str(SeedFound.model_validate_json(seed.model_dump_json())) == str(seed)


def test_the_twins_side_by_side_are_those_of_equal_gradients_and_one_that_diverged_is_a_gap():
    on = with_course(nn.Linear(1, 1), *line(0), steps=10, variants=["sam"])
    details = {detail.name: detail for detail in measured(on, sam).details}
    panels = details["side_by_side"]
    assert panels.groups == ("base", "SAM")
    twins = on.take(SamTwins())
    losses = tuple(tuple(seed.twin(*each).loss for seed in twins.seeds) for each in (("base", 10), ("sam", 5)))
    assert panels.panels[0].values == losses
    assert panels.panels[0].mark.y == twins.start.loss
    assert [bar.group for bar in details["ratios"].bars] == ["SAM"] * 3
    lost = measured(with_course(nn.Linear(1, 1), *line(0), steps=200, lr=100.0, momentum=0.0, variants=["sam"]), sam)
    (panels,) = [detail for detail in lost.details if detail.name == "side_by_side"]
    assert panels.panels[0].values == ((None,) * 3,) * 2


def test_what_outputs_without_a_loss_happen_to_predict_is_no_metric():
    x = torch.randn(64, 2, generator=torch.Generator().manual_seed(0))
    model = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 2))
    on = with_course(model, x, (x[:, 0] > 0).long(), cross_entropy, steps=20, lr=1e38, variants=["sam"])
    found = measured(on, sam)
    assert found.estimates["metric_difference"].value is None
    assert found.estimates["metric_difference"].nonfinite == "nan"
    assert any("diverged within 10 steps, so what rests on it is no number" in caveat for caveat in found.caveats)


@pytest.mark.parametrize(("lost", "told"), [({"sam"}, "rho or lr."), ({"base", "sam"}, "lr.")])
def test_advice_on_a_twin_that_diverged_names_the_radius_where_the_base_twin_did_not(lost, told):
    on = with_course(nn.Linear(1, 1), *line(0), steps=2, variants=["sam"])
    found = on.take(SamTwins())
    seeds = tuple(
        seed.model_copy(
            update={
                "twins": tuple(
                    twin.model_copy(update={"sums": (math.nan,) * len(twin.sums)}) if twin.variant in lost else twin
                    for twin in seed.twins
                )
            }
        )
        for seed in found.seeds
    )
    caveats = sam.measure(replace(found, seeds=seeds), on.take(AuditFacts())).caveats
    assert {caveat.split("[checks.sam] ")[1] for caveat in caveats if "SAM twin" in caveat} == {told}


def test_a_model_under_autocast_is_refused_with_the_reason():
    class Mixed(nn.Linear):
        def forward(self, x):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                return super().forward(x).float()

    on = with_course(Mixed(1, 1), *line(0))
    outcome = sam.measure(on.take(SamTwins()), None)
    assert isinstance(outcome, NotApplicable)
    assert "autocast" in outcome.reason


def test_seeds_that_agree_on_the_metric_do_not_make_its_difference_certain():
    x = torch.randn(64, 2, generator=torch.Generator().manual_seed(0))
    on = with_course(nn.Linear(2, 2), x, (x[:, 0] > 0).long(), cross_entropy, steps=2, lr=1e-6)
    found = measured(on, sam).estimates["metric_difference"]
    assert found.value == 0.0
    p, z = on.take(SamTwins()).start.metric, 1.959964
    rough = z * math.sqrt(2 * p * (1 - p) / 64)  # two independent proportions, by the normal approximation
    assert found.high - found.low == pytest.approx(2 * rough, rel=0.1)


def test_several_processes_are_refused_with_the_reason():
    on = with_course(nn.Linear(1, 1), *line(0))
    on.ranks = replace(on.ranks, size=2)
    assert "2 processes" in SamTwins().take(on).reason


# ------------------------------------------------------------------------------------------------------ from the files

MODEL = "from torch import nn\n\ndef build():\n    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))\n"
TIED = """
def tied():
    net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    net[2].weight = net[0].weight
    return net
"""
DATA = """
import torch

def examples(seed, n):
    x = torch.randn(n, 4, generator=torch.Generator().manual_seed(seed))
    return [(x, (x[:, 0] * x[:, 1] > 0).long())]

def validation():
    return examples(0, 64)

def training():
    return examples(1, 96)
"""

UNUSABLE = """
def unusable():
    [(x, y)] = examples(1, 96)
    {change}
    return [(x, y)]
"""
OWN_LOSS = """
from torch.nn import functional

def own(outputs, targets):
    return functional.cross_entropy(outputs, targets, label_smoothing=0.0)
"""


@pytest.fixture
def project(tmp_path):
    (tmp_path / "model.py").write_text(MODEL)
    (tmp_path / "data.py").write_text(DATA)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
    save_file({f"net.{k}": v.bfloat16() for k, v in model.state_dict().items()}, tmp_path / "model.safetensors")
    return tmp_path


def spec_of(*, strict=True, loss="cross_entropy", **settings):
    given = {"enabled": True, "train": "data.py:training", "steps": 10, "batch_size": 8, **settings}
    return AuditSpec.model_validate(
        {
            "model": {"factory": "model.py:build", "prefix": "net.", "strict": strict},
            "data": {"loader": "data.py:validation"},
            "loss": {"name": loss},
            "protocol": {"preset": "quick"},
            "checks": {"only": ["sam", "loss"], "sam": given},
        }
    )


def audited(project, folder=None, **settings):
    if folder is not None:
        folder.mkdir(exist_ok=True)
    return audit(spec_of(**settings), project / "model.safetensors", project, folder=folder)


def loaded(project, spec):
    return load_subject(spec, project / "model.safetensors", project, torch.device("cpu"))


def course_of(project, folder=None, **settings):
    spec = spec_of(**settings)
    return read_course(spec, loaded(project, spec), project / "model.safetensors", folder)


def outcome(results):
    return next(check.outcome for check in results.checks if check.id == "sam")


def test_the_better_twin_is_saved_under_the_names_and_dtypes_of_the_checkpoint_and_can_be_audited(project):
    results = audited(project, save=project / "twin.safetensors")
    found = outcome(results)
    assert "sam: twins of a checkpoint in bfloat16 are trained in float32." in results.protocol.adjustments
    before, after = load_file(project / "model.safetensors"), load_file(project / "twin.safetensors")
    assert {(k, v.dtype, v.shape) for k, v in before.items()} == {(k, v.dtype, v.shape) for k, v in after.items()}
    assert not torch.equal(before["net.0.weight"], after["net.0.weight"])
    with safe_open(project / "twin.safetensors", "pt") as file:
        assert "seed" in file.metadata()["twin"]
    table = next(detail for detail in found.details if detail.name == "twins")
    names = [column.name for column in table.columns]
    rows = [dict(zip(names, row, strict=True)) for row in table.rows]
    equal = [row for row in rows if row["variant"] != "start" and row["gradients"] == rows[1]["gradients"]]
    best = min(row["loss"] for row in equal)
    (project / "twin.safetensors").replace(project / "model.safetensors")
    again = audited(project).estimates()["loss.value"].value
    assert again == pytest.approx(best, rel=0.02)  # bfloat16 moves every weight by up to 0.4 %
    assert any("Saved" in caveat and "seed" in caveat for caveat in found.caveats)


def test_a_saved_twin_has_tied_tensors_under_both_names_statistics_and_what_the_model_does_not_use(tmp_path):
    text = MODEL.replace("nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))", "tied()").replace(
        "def build", TIED + "\ndef build"
    )
    (tmp_path / "model.py").write_text(text)
    (tmp_path / "data.py").write_text(DATA)
    built = {}
    exec(text, built)  # noqa: S102 - this test's own text
    state = {k: v.clone() for k, v in built["build"]().state_dict().items()}
    save_file({f"net.{k}": v for k, v in state.items()} | {"net.ema": torch.ones(3)}, tmp_path / "model.safetensors")
    audited(tmp_path, strict=False, save=tmp_path / "twin.safetensors", variants=["asam"])
    found = load_file(tmp_path / "twin.safetensors")
    assert torch.equal(found["net.0.weight"], found["net.2.weight"])
    assert not torch.equal(found["net.0.weight"], state["0.weight"])
    assert not torch.equal(found["net.1.running_mean"], state["1.running_mean"])
    assert found["net.1.num_batches_tracked"].item() in {5, 10}
    assert torch.equal(found["net.ema"], torch.ones(3))


def test_the_audited_checkpoint_is_never_the_file_to_save_to(project):
    before = (project / "model.safetensors").read_bytes()
    (project / "link.safetensors").symlink_to(project / "model.safetensors")
    for name in ("model.safetensors", "link.safetensors"):
        with pytest.raises(OutputError, match="is the audited checkpoint"):
            audited(project, save=project / name)
    assert (project / "model.safetensors").read_bytes() == before


def test_what_is_there_already_is_replaced_only_where_it_is_a_twin(project):
    path = project / "twin.safetensors"
    course_of(project, save=path).save.write(loaded(project, spec_of()), "first")
    course_of(project, save=path).save.write(loaded(project, spec_of()), "second")
    with safe_open(path, "pt") as file:
        assert file.metadata()["twin"] == "second"
    for make in (foreign, lambda p: p.write_bytes(b"precious"), os.mkfifo):
        path.unlink()
        make(path)
        with pytest.raises(OutputError, match="is there already, and is no twin") as raised:
            course_of(project, save=path)
        assert raised.value.exit_code == 2


def foreign(path):
    save_file({"a": torch.ones(1)}, path, metadata={"format": "pt", "made_by": "another tool"})


def test_a_folder_is_no_file_to_save_to(project):
    for name in (".", "weights.safetensors"):
        (project / name).mkdir(exist_ok=True)
        with pytest.raises(OutputError, match="is a folder"):
            course_of(project, save=project / name)


def test_an_audit_that_goes_on_from_finished_seeds_gives_what_an_uninterrupted_one_gives(project, monkeypatch):
    complete = audited(project, project / "whole")
    whole = outcome(complete)
    seen = []
    train = sam_twins._trained

    def stopped(bench, course, variant, seed, steps):
        if (variant, seed) == ("sam", 1):
            raise KeyboardInterrupt
        return train(bench, course, variant, seed, steps)

    monkeypatch.setattr(sam_twins, "_trained", stopped)
    assert audited(project, project / "parts").run.signal == "SIGINT"
    monkeypatch.setattr(sam_twins, "_trained", lambda *a: (seen.append((a[2], a[3])), train(*a))[1])
    again = audited(project, project / "parts")
    assert outcome(again) == whole
    assert seen == [("sam", 1), ("asam", 1), ("base", 2), ("sam", 2), ("asam", 2)]
    assert again.protocol.adjustments == complete.protocol.adjustments
    assert again.protocol.probes == complete.protocol.probes
    audited(project, project / "parts", lr=0.02)
    assert len(seen) == 5 + 9


def test_finished_seeds_are_of_one_code_of_model_and_loss_only(project):
    (project / "loss.py").write_text(OWN_LOSS)
    key = course_of(project, loss="loss.py:own").key
    assert course_of(project, loss="loss.py:own").key == key
    (project / "loss.py").write_text(OWN_LOSS.replace("0.0", "0.1"))
    other_loss = course_of(project, loss="loss.py:own").key
    (project / "loss.py").write_text(OWN_LOSS)
    (project / "model.py").write_text(MODEL.replace("nn.ReLU()", "nn.ReLU(inplace=False)"))
    other_source = course_of(project, loss="loss.py:own").key
    assert len({key, other_loss, other_source}) == 3


def test_code_that_is_out_of_sight_shows_in_the_numbers_that_the_key_knows():
    class Scaled(nn.Linear):
        training_scale = evaluation_scale = 1.0

        def forward(self, x):
            return super().forward(x) * (self.training_scale if self.training else self.evaluation_scale)

    def key(name=None):
        torch.manual_seed(0)
        model = Scaled(1, 1)
        if name:
            setattr(model, name, 2.0)
        return with_course(model, *line(0)).course.key

    assert key() == key()
    assert len({key(), key("training_scale"), key("evaluation_scale")}) == 3


def test_twins_of_another_function_on_the_audited_sample_alone_are_trained_again(project, monkeypatch):
    seen, train = [], sam_twins._trained
    monkeypatch.setattr(sam_twins, "_trained", lambda *a: (seen.append(a[3]), train(*a))[1])
    audited(project, project / "out", variants=["sam"])
    assert len(seen) == 6
    real = sam_twins.measured

    def otherwise(*a, **k):
        return real(*a, **k).model_copy(update={"metric": 0.5} if k["variant"] == "start" else {})

    monkeypatch.setattr(sam_twins, "measured", otherwise)
    audited(project, project / "out", variants=["sam"])
    assert len(seen) == 12


@pytest.mark.parametrize(
    ("change", "error", "told"),
    [
        ("y[95] = 7", LossError, "examples 88 to 95: cross_entropy: a target is 7"),
        ("y = y.float()", LossError, "examples 0 to 7: cross_entropy: outputs .* and targets .* differ in shape"),
        ("x = x[:, :3]", ModelError, "mat1 and mat2 shapes"),
    ],
)
def test_training_examples_that_cannot_be_trained_on_are_refused_before_anything_is(project, change, error, told):
    (project / "data.py").write_text(DATA + UNUSABLE.format(change=change))
    with pytest.raises(error, match=told) as raised:
        course_of(project, train="data.py:unusable")
    assert str(raised.value).startswith("data.py:unusable, examples ")
    assert raised.value.exit_code == 4
    assert raised.value.remedy


def test_a_training_example_without_a_finite_loss_is_refused_and_found():
    x, y = line(0)
    with pytest.raises(LossError, match="tests:none, examples 56 to 63: tests: the loss of batch 7 is inf"):
        with_course(nn.Linear(1, 1), x, y.index_fill(0, torch.tensor([63]), 1e30))


def test_training_examples_none_of_which_count_train_nothing_and_the_check_says_so(project):
    (project / "data.py").write_text(DATA + UNUSABLE.format(change="y[:] = -100"))
    found = outcome(audited(project, train="data.py:unusable"))
    assert isinstance(found, NotApplicable)
    assert "no target of data.py:unusable counts" in found.reason


def test_two_finished_seeds_are_reported_when_a_person_stops_the_third(project, monkeypatch):
    train = sam_twins._trained

    def stopped(bench, course, variant, seed, steps):
        if seed == 2:
            raise KeyboardInterrupt
        return train(bench, course, variant, seed, steps)

    monkeypatch.setattr(sam_twins, "_trained", stopped)
    found = audited(project)
    assert found.run.signal == "SIGINT"
    assert outcome(found).estimates["loss_difference"].n == 2
    assert any("2 of 3 seeds" in caveat for caveat in outcome(found).caveats)


def test_a_damaged_seed_is_trained_again(project):
    folder = project / "out"
    whole = outcome(audited(project, folder))
    (folder / "sam-seed-1.json").write_text('{"key": "')
    assert outcome(audited(project, folder)) == whole


NONSENSE = {"sums": [], "weights": [], "metric": 99.0}


@pytest.mark.parametrize("change", [NONSENSE, {"metric": 99.0}, {"weights": [0.0] * 16}, {"metric": None}])
def test_a_seed_with_the_right_key_and_impossible_numbers_is_trained_again(project, change):
    folder = project / "out"
    whole = outcome(audited(project, folder, steps=2, variants=["sam"]))
    path = folder / "sam-seed-1.json"
    told = json.loads(path.read_text())
    assert len(told["twins"][0]["weights"]) == 16
    told["twins"][0] |= change
    path.write_text(json.dumps(told))
    assert outcome(audited(project, folder, steps=2, variants=["sam"])) == whole
    again = json.loads(path.read_text())["twins"][0]
    assert all(again[name] != value for name, value in change.items())


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_in_the_place_of_a_seed_is_told_before_training(project, make):
    make(project / "sam-seed-2.json")
    with pytest.raises(OutputError, match=r"sam-seed-2\.json: is in the way"):
        course_of(project, project)


def test_a_variant_is_named_once():
    with pytest.raises(ValueError, match="variants names one twice: sam, sam"):
        SamSpec(variants=("sam", "sam"))


def test_enabled_without_training_data_says_so_and_an_unknown_setting_is_told_the_nearest():
    config = {"model": {"factory": "m:f"}, "data": {"file": "d.npz"}}
    with pytest.raises(ConfigError, match=r"checks\.sam: enabled, but train is missing"):
        validated(AuditSpec, {**config, "checks": {"sam": {"enabled": True}}}, "audit.toml")
    with pytest.raises(ConfigError) as raised:
        validated(AuditSpec, {**config, "checks": {"sam": {"rhoo": 1.0}}}, "audit.toml")
    assert "rho" in raised.value.remedy


def test_a_check_that_is_not_enabled_cannot_be_asked_for():
    from landscape_audit.checks import chosen

    assert "sam" not in {check.id for check in chosen(ChecksSpec())}
    with pytest.raises(UsageError, match="'sam' is not enabled"):
        chosen(ChecksSpec(only=("sam",)))
