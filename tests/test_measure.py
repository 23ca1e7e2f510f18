"""A whole audit from files: what it says of itself, what it survives, what it leaves alone."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from landscape_audit import forecast, measure
from landscape_audit.checks import BATTERY
from landscape_audit.errors import CapabilityError, UsageError
from landscape_audit.plan import Silent
from landscape_audit.probes.bench import Bench
from landscape_audit.results import AuditResults, Failed, FileRecord, Measured
from landscape_audit.spec import AuditSpec
from landscape_audit.subject.checkpoint.checkpoint import changed_since

MODEL = """
from torch import nn

def build():
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3))
"""
DATA = """
import torch

def validation():
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(96, 6, generator=generator)
    return list(zip(x.split(20), (x.sum(1) > 0).long().split(20)))
"""


def write_project(folder: Path) -> Path:
    (folder / "model.py").write_text(MODEL)
    (folder / "data.py").write_text(DATA)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3))
    save_file(model.state_dict(), folder / "model.safetensors")
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write_project(tmp_path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> AuditResults:
    """An audit of the same project, with every check."""
    return audit(write_project(tmp_path_factory.mktemp("whole")))


def spec(**more: object) -> AuditSpec:
    values = {"model": {"factory": "model.py:build"}, "data": {"loader": "data.py:validation"}}
    return AuditSpec.model_validate({**values, "protocol": {"preset": "quick"}, **more})


def audit(project: Path, progress=None, **more: object) -> AuditResults:
    return measure.audit(spec(**more), project / "model.safetensors", project, progress=progress)


def test_every_check_is_measured_and_the_same_the_second_time(whole, project):
    first, second = whole, audit(project)
    assert first.partial is None
    assert first.instrument.agrees, first.instrument
    assert all(isinstance(check.outcome, Measured) for check in first.checks)
    assert first.model_dump(exclude={"run"}) == second.model_dump(exclude={"run"})


def test_results_survive_their_own_json(whole):
    assert AuditResults.model_validate_json(whole.to_json()) == whole


def test_only_the_checks_that_were_asked_for_are_run_and_the_instrument_is_tried_all_the_same(project):
    found = audit(project, checks={"only": ["loss"]})
    assert [check.id for check in found.checks] == ["loss"]
    assert {probe.name for probe in found.protocol.probes} >= {"instrument_trial", "checkpoint_loss"}
    assert found.instrument.agrees
    assert found.skipped == tuple(check.id for check in BATTERY if check.id != "loss")
    assert found.unreached == ()


def test_an_unknown_check_is_named_with_the_one_that_was_meant(project):
    with pytest.raises(UsageError, match="there is no check 'sharpnes'") as raised:
        audit(project, checks={"skip": ["sharpnes"]})
    assert "Did you mean 'sharpness'?" in str(raised.value)


def test_a_device_that_is_not_there_is_refused(project):
    with pytest.raises(CapabilityError, match="cuda:63"):
        audit(project, protocol={"device": "cuda:63"})


def test_a_plan_forecasts_every_probe_that_is_taken(whole, project):
    plan = measure.plan_audit(spec(), project / "model.safetensors", project)
    taken = whole.protocol.probes
    assert {probe.name for probe in plan.probes} == {probe.name for probe in taken}
    assert plan.gradients > 0
    assert plan.seconds > 0


class Interrupting(Silent):
    """A person who presses Ctrl-C when a certain probe starts."""

    def __init__(self, probe: str) -> None:
        self.probe = probe

    def started(self, probe: str) -> None:
        if probe == self.probe:
            raise KeyboardInterrupt


def test_an_interrupted_audit_keeps_what_is_done_and_says_that_it_is_partial(project):
    found = audit(project, progress=Interrupting("hessian_krylov"))
    assert [check.id for check in found.checks] == ["instrument", "loss", "data"]
    assert found.partial == f"interrupted: 3 of {len(BATTERY)} checks are done"
    assert found.run.signal == "SIGINT"
    assert found.unreached == tuple(check.id for check in BATTERY[3:])


def test_an_audit_interrupted_at_once_claims_nothing(project):
    found = audit(project, progress=Interrupting("instrument_trial"))
    assert found.checks == ()
    assert not found.instrument.agrees


def test_a_check_that_breaks_takes_no_other_with_it(project, monkeypatch):
    from landscape_audit.probes.walks import RandomPlane

    monkeypatch.setattr(RandomPlane, "take", lambda *_: 1 / 0)
    found = audit(project)
    broken = [check.id for check in found.checks if isinstance(check.outcome, Failed)]
    assert broken == ["surface"]
    assert found.partial == "failed: surface"
    assert "ZeroDivisionError" in found.checks[-1].outcome.error


def test_torch_settings_are_afterwards_as_they_were(project):
    torch.backends.cuda.matmul.allow_tf32 = True
    try:
        assert not audit(project, checks={"only": ["loss"]}).environment.tf32
        assert torch.backends.cuda.matmul.allow_tf32
        assert not torch.are_deterministic_algorithms_enabled()
    finally:
        torch.backends.cuda.matmul.allow_tf32 = False


def test_time_that_is_too_short_leaves_checks_out_and_is_no_crash(project):
    found = audit(project, protocol={"preset": "quick", "max_time": "0.0001s"})
    assert found.run.out_of_time
    assert found.partial is not None
    assert found.partial.startswith("out of time after 0.0001s: ")
    assert "surface" in found.unreached
    assert all(isinstance(check.outcome, Measured) for check in found.checks)


def test_a_measurement_that_time_cut_short_is_told_also_where_every_check_is_done(project, monkeypatch):
    monkeypatch.setattr(Bench, "has_time_for", lambda *_: True)
    found = audit(project, protocol={"preset": "quick", "max_time": "0.0001s"}, checks={"only": ["sharpness"]})
    assert found.partial is None
    assert any(line.startswith("Out of time after 0.0001s") for line in found.protocol.adjustments)


def test_how_fast_a_machine_is_decides_nothing_outside_the_run(project, monkeypatch):
    """Not even what undecided gates buy, nor what is said of it: a product is cheap on one machine, and dear here."""
    few = {"lanczos_steps": 3, "top_k": 1, "eigen_tolerance": 1e-9}

    def timed(ratios, **gate):
        monkeypatch.setattr(forecast, "_time", lambda _: ratios)
        protocol = {"preset": "quick", "budgets": few}
        gates = {"sharpness.lambda_max": {"why": "a test", **gate}} if gate else {}
        return audit(project, protocol=protocol, checks={"only": ["sharpness"]}, gates=gates, max_extra_budget=20.0)

    found = timed((1.0, 1.0, 1.0)).checks[0].outcome.estimates["lambda_max"]
    residual = next(part for part in found.parts if part.kind == "residual")
    limit = found.high - 0.3 * (residual.high - found.value)
    cheap, dear = (timed(ratios, at_most=limit) for ratios in ((1e-3, 0.1, 0.5), (1.0, 1.0, 5.0)))
    assert any("undecided gates" in line for line in cheap.protocol.adjustments)
    assert cheap.run.hvp_seconds != dear.run.hvp_seconds
    assert cheap.model_dump(exclude={"run"}) == dear.model_dump(exclude={"run"})


@pytest.mark.parametrize("budget", [0.0, 4.0, 40.0])
def test_stored_results_are_judged_as_they_were_when_intervals_were_bought(project, budget):
    """What the gate that bought took for settled is settled, and no look is judged as if it had been the only one."""
    import datetime as dt

    from landscape_audit.gates.judge import judged
    from landscape_audit.policy import Policy

    protocol = {"preset": "quick", "budgets": {"flatness_draws": 3, "flatness_sigmas": (0.1,)}}
    only = {"protocol": protocol, "checks": {"only": ["flatness"]}}
    first = audit(project, **only, max_extra_budget=0.0).estimates()["flatness.rise@0.1"]
    limit = first.value + 0.7 * (first.high - first.value)
    gates = {"flatness.rise@0.1": {"at_most": limit, "why": "a test"}}
    found = audit(project, **only, gates=gates, max_extra_budget=budget)
    stored = AuditResults.model_validate_json(found.to_json())
    policy, today = Policy.model_validate({"gates": gates, "max_extra_budget": budget}), dt.date(2026, 1, 1)
    (gate,) = judged(stored, policy, today).gates
    assert judged(found, policy, today).gates == (gate,)
    assert gate.looks == (3 if budget else 1)
    assert (found.protocol.looks > 1) == (budget > 0)
    assert gate.status == "undecided" or budget
    # Another policy that may buy nothing is not told that this was the first look.
    (other,) = judged(stored, policy.model_copy(update={"max_extra_budget": 0.0}), today).gates
    assert other.looks == gate.looks


def test_a_gate_on_a_check_that_time_left_out_is_undecided(project):
    import datetime as dt

    from landscape_audit.gates.judge import judged
    from landscape_audit.policy import Policy

    found = audit(project, protocol={"preset": "quick", "max_time": "0.0001s"})
    policy = Policy.model_validate({"gates": {"flatness.tolerance": {"at_least": 0.01, "why": "a test"}}})
    verdict = judged(found, policy, dt.datetime.now(dt.UTC).date()).verdict
    assert (verdict.word, verdict.exit_code) == ("UNDECIDED", 3)
    assert judged(found, Policy(), dt.datetime.now(dt.UTC).date()).verdict.word == "OBSERVED"


class Replacing(Silent):
    """Somebody who saves over the checkpoint while it is audited."""

    def __init__(self, path: Path, content: bytes) -> None:
        self.path, self.content = path, content

    def started(self, probe: str) -> None:
        if probe == "instrument_trial":
            self.path.write_bytes(self.content)


def test_a_checkpoint_that_changes_during_its_audit_is_told_and_the_numbers_are_of_the_bytes_read_first(project):
    path = project / "model.safetensors"
    first = path.read_bytes()
    quiet = audit(project, checks={"only": ["loss"]})
    found = audit(project, progress=Replacing(path, first[:-4] + bytes(4)), checks={"only": ["loss"]})
    (told,) = found.subject.replaced
    assert found.instrument.agrees, "the numbers are right; only the file is another"
    assert told.startswith("model.safetensors was changed while it was audited: it has the SHA-256 ")
    assert found.subject.files[0].sha256 == hashlib.sha256(first).hexdigest()
    assert found.checks == quiet.checks


def test_a_checkpoint_that_is_gone_after_its_audit_is_told(tmp_path):
    path = tmp_path / "m.safetensors"
    assert changed_since({path: FileRecord(name=path.name, sha256="0" * 64, size_bytes=1)}) == [
        "m.safetensors was changed while it was audited: it cannot be read any more; every number is of the bytes "
        f"read at first, SHA-256 {'0' * 64}"
    ]


def test_batches_in_which_no_target_counts_are_joined_to_others_and_change_no_number(project):
    checks = {"only": ["loss", "gradient", "sharpness", "surface", "reparametrisation"]}
    plain = audit(project, checks=checks)
    (project / "data.py").write_text(f"""{DATA}
def masked():
    given = validation()
    x, y = (torch.cat(part) for part in zip(*given))
    none = torch.full_like(y, -100)
    return [(x[:48], none[:48]), *given, (x[48:], none[48:])]
""")
    found = audit(project, data={"loader": "data.py:masked"}, checks=checks)
    assert all(isinstance(check.outcome, Measured) for check in found.checks)
    assert "8 batches without a target that counts joined to a neighbour." in found.protocol.adjustments
    assert found.data.n_samples == 2 * plain.data.n_samples == 192
    for key in ("loss.value", "gradient.norm", "sharpness.lambda_max"):
        assert found.estimates()[key].value == pytest.approx(plain.estimates()[key].value, rel=1e-4)
