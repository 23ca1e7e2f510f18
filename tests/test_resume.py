"""Probes that an interrupted audit kept: they come back as they were, and the audit ends as if nothing had happened."""

from __future__ import annotations

import dataclasses
import json
import math
import struct

import numpy as np
import pytest
import torch
from pydantic import BaseModel
from safetensors import safe_open
from safetensors.torch import save_file
from subjects import bench, cross_entropy, subject
from torch import nn
from user_files import DATA, MODEL, trained, write

from landscape_audit import resume
from landscape_audit.checks import BATTERY
from landscape_audit.curvature.basis import Basis, Storage
from landscape_audit.measure import audit
from landscape_audit.plan import Silent
from landscape_audit.probes import encoding
from landscape_audit.probes.encoding import Decoder, Encoder, UnsaveableError
from landscape_audit.probes.keeping import Keeping
from landscape_audit.probes.krylov import HessianKrylov, KrylovTrace
from landscape_audit.probes.probe import with_needs
from landscape_audit.probes.probe_file import write_tensors
from landscape_audit.spec import AuditSpec

CPU = torch.device("cpu")
PROBES = {probe.name: probe for probe in with_needs([each for check in BATTERY for each in check.probes])}


def there_and_back(value, path, known=()):
    encoder = Encoder(dict(known))
    told = encoder.encode(value)
    write_tensors(path, {"probe": json.dumps(told)}, encoder.tensors)
    with safe_open(path, framework="pt") as file:
        return Decoder(file, dict(known), CPU).decode(json.loads(file.metadata()["probe"]))


def same(a, b):  # noqa: PLR0911 - one kind a line
    """Whether two values are of the same types throughout and of the same bits; bases by their rows and their kind."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return struct.pack("d", a) == struct.pack("d", b) or (math.isnan(a) and math.isnan(b))
    if isinstance(a, torch.Tensor):
        bits = a.dtype == b.dtype and a.shape == b.shape and a.stride() == b.stride() and a.device == b.device
        return bits and torch.equal(a.reshape(-1).view(torch.uint8), b.reshape(-1).view(torch.uint8))
    if isinstance(a, (np.ndarray, np.generic)):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, Basis):
        return (a.storage, a.like.dtype) == (b.storage, b.like.dtype) and same([*a.stored(0)], [*b.stored(0)])
    if isinstance(a, (tuple, list)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return same(list(a.items()), list(b.items()))
    if dataclasses.is_dataclass(a) or isinstance(a, BaseModel):
        names = type(a).model_fields if isinstance(a, BaseModel) else [field.name for field in dataclasses.fields(a)]
        return all(same(getattr(a, name), getattr(b, name)) for name in names)
    return a == b


def network():
    torch.manual_seed(0)
    x, y = torch.randn(60, 4), torch.randint(0, 3, (60,))
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 3))
    return subject(model, cross_entropy, x, y, sizes=(30, 20, 10))


@pytest.fixture(scope="module")
def taken():
    on = bench(network(), preset="quick")
    return on.take


@pytest.mark.parametrize("name", PROBES)
def test_what_any_probe_of_the_battery_finds_comes_back_exactly(name, taken, tmp_path):
    found = taken(PROBES[name])
    assert same(there_and_back(found, tmp_path / "p.safetensors"), found)


@pytest.mark.parametrize(
    "value",
    [
        (math.nan, math.inf, -math.inf, -0.0, 5e-324, 0.1 + 0.2, 1, True, None, "\u202e\x00\ud7ff", 10**30),
        {"a": [1.0, (2,)], (1, 2): {}},
        (np.float64(0.1), np.int64(3), np.bool_(True), np.float32(0.1)),  # noqa: FBT003 - a numpy scalar
        (np.arange(6.0).reshape(2, 3), np.asfortranarray(np.arange(6.0).reshape(2, 3)), np.zeros((0, 2)), np.array(2)),
        tuple(torch.arange(4).to(dtype) for dtype in encoding.DTYPES),
        (torch.zeros(0), torch.tensor(1.5), torch.tensor([math.nan, -0.0])),
    ],
    ids=["plain", "nested", "scalars", "arrays", "dtypes", "tensors"],
)
def test_what_a_probe_may_hold_comes_back_exactly(value, tmp_path):
    assert same(there_and_back(value, tmp_path / "p.safetensors"), value)


@pytest.mark.parametrize(
    "value", [object(), {1}, torch.Size([1]), torch.zeros(1, dtype=torch.complex64), np.array("a")]
)
def test_what_has_no_encoding_is_refused_and_not_changed_into_something_else(value):
    with pytest.raises(UnsaveableError):
        Encoder({}).encode((value,))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_a_basis_that_grew_from_another_shares_its_memory_again(dtype, tmp_path):
    rows = torch.randn(13, 50)
    basis = Basis(rows[0], Storage(dtype, CPU))
    grown = {}
    for count, row in enumerate(rows, start=1):
        grown[count] = basis = basis.with_row(row)
    first = there_and_back(grown[10], tmp_path / "a.safetensors")
    encoder = Encoder({"a/0": grown[10]})
    told = encoder.encode(grown[13])
    assert next(stored.shape for stored in encoder.tensors.values() if stored.dtype == dtype) == (3, 50)
    write_tensors(tmp_path / "b.safetensors", {}, encoder.tensors)
    with safe_open(tmp_path / "b.safetensors", framework="pt") as file:
        second = Decoder(file, {"a/0": first}, CPU).decode(told)
    assert same(second, grown[13])
    assert second.shared(first) == 10


@pytest.mark.parametrize("name", ["os.system", "landscape_audit.cli.main.app", "landscape_audit.probes.bench.Bench"])
def test_a_file_names_no_type_but_those_that_probes_find(name, tmp_path):
    save_file({"t": torch.zeros(1)}, tmp_path / "p.safetensors")
    with safe_open(tmp_path / "p.safetensors", framework="pt") as file, pytest.raises(KeyError):
        Decoder(file, {}, CPU).decode({"new": name, "with": {"command": "true"}})


# ---------------------------------------------------------------------------------------------------------- the bench


def keeping_bench(tmp_path, key="k", audited=None, **protocol):
    on = bench(audited or network(), preset="quick", **protocol)
    on.keeping = Keeping(tmp_path, key, CPU)
    return on


def test_a_probe_that_was_kept_costs_nothing_again_and_is_told_as_it_was(tmp_path, monkeypatch):
    first = keeping_bench(tmp_path)
    found = first.take(KrylovTrace())
    monkeypatch.setattr(HessianKrylov, "take", None)
    monkeypatch.setattr(KrylovTrace, "take", None)
    again = keeping_bench(tmp_path)
    assert same(again.take(KrylovTrace()), found)
    assert again.ledgers == first.ledgers
    assert again.take(KrylovTrace()).space.basis.shared(again.take(HessianKrylov()).basis) > 0


@pytest.mark.parametrize("spoilt", ["cut", "bit", "key", "pickle", "folder", "pipe", "link", "header"])
def test_a_kept_probe_that_is_damaged_or_of_another_audit_is_taken_anew_and_told(tmp_path, spoilt):
    import os

    keeping_bench(tmp_path).take(HessianKrylov())
    (path,) = tmp_path.glob("hessian_krylov-*.safetensors")
    content = path.read_bytes()
    path.unlink()
    if spoilt == "folder":
        path.mkdir()
    elif spoilt == "pipe":
        os.mkfifo(path)
    elif spoilt == "link":
        path.symlink_to("/dev/zero")
    else:
        half = len(content) // 2
        path.write_bytes(
            {
                "cut": content[:half],
                "bit": content[:-9] + bytes([content[-9] ^ 1]) + content[-8:],
                "key": content,
                "pickle": b"\x80\x04cos\nsystem\n(S'true'\ntR.",
                "header": struct.pack("<Q", 1 << 60) + content[8:],
            }[spoilt]
        )
    on = keeping_bench(tmp_path, key="another" if spoilt == "key" else "k")
    told = []
    on.tell_now = told.append
    assert on.take(HessianKrylov()).steps
    assert "measured anew" in told[0]


def test_an_instrument_that_was_distrusted_stays_so(tmp_path):
    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx, grad):
            return grad * 3 * ctx.saved_tensors[0].detach() ** 2

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.tensor([[0.5, -0.3, 0.2], [0.1, 0.4, -0.6]]))

        def forward(self, x):
            return Wrong.apply(x @ self.w)

    torch.manual_seed(0)
    audited = subject(Model(), cross_entropy, torch.randn(30, 2), torch.randint(0, 3, (30,)))
    first, again = (keeping_bench(tmp_path, audited=audited) for _ in range(2))
    for on in (first, again):
        on.take(PROBES["instrument_trial"])
    assert first.subject.distrusted
    assert (again.subject.distrusted, again.adjustments) == (first.subject.distrusted, first.adjustments)
    assert same(again.take(HessianKrylov()), first.take(HessianKrylov()))


def test_what_ran_out_of_memory_stays_in_pieces(tmp_path):
    first = keeping_bench(tmp_path)
    first.landscape._make_room()
    first.landscape._make_room()
    first.take(HessianKrylov())
    again = keeping_bench(tmp_path)
    again.take(HessianKrylov())
    assert again.landscape.footing == first.landscape.footing
    assert again.adjustments == first.adjustments
    assert any("examples at once" in line for line in again.adjustments)


def test_a_full_disk_is_told_once_and_ends_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    on, told = keeping_bench(tmp_path), []
    on.tell_now = told.append
    monkeypatch.setattr("os.fsync", full)
    on.take(KrylovTrace())
    assert len(told) == 1
    assert "No space left on device" in told[0]
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------------------------------------------------- audits


@pytest.fixture
def project(tmp_path):
    write(tmp_path, "model.py", MODEL)
    write(tmp_path, "data.py", DATA)
    save_file(trained(MODEL), tmp_path / "model.safetensors")
    return tmp_path


FEW = {"only": ["loss"]}
PROTOCOL = {"preset": "quick", "budgets": {"lanczos_steps": 4, "flatness_draws": 6}}


class Told(Silent):
    def __init__(self):
        self.notes = []

    def note(self, message):
        self.notes.append(message)


def audited(project, out, *, again=False, progress=None, **tables):
    settings = {
        "model": {"factory": "model.py:build"},
        "data": {"loader": "data.py:batches"},
        "protocol": PROTOCOL,
        "max_extra_budget": 200,
        "gates": {
            "sharpness.lambda_max": {"at_most": 0.9, "why": "a test"},
            "flatness.rise@0.3": {"at_most": 0.003, "why": "a test"},
        },
    }
    (project / out).mkdir(exist_ok=True)
    spec = AuditSpec.model_validate(settings | tables)
    checkpoint = project / "model.safetensors"
    return audit(spec, checkpoint, project, folder=project / out, resume=again, progress=progress)


def outside_run(results):
    return results.model_copy(update={"run": None})


def test_an_audit_stopped_after_any_probe_ends_as_if_it_had_not_been(project, monkeypatch):
    checks = {"only": ["sharpness", "trace", "flatness", "stationarity", "ggn", "activations"]}
    whole, take, stop_after = audited(project, "whole", checks=checks), Keeping.keep, math.inf
    grown = [line for line in whole.protocol.adjustments if "undecided gates" in line]
    assert "lanczos_steps" in grown[0]
    assert "flatness_draws" in grown[0]

    def stopped(self, bench, probe, *more):
        nonlocal stop_after
        take(self, bench, probe, *more)
        stop_after -= 1
        if not stop_after:
            raise KeyboardInterrupt("SIGTERM")

    monkeypatch.setattr(Keeping, "keep", stopped)
    kept = resume.kept_probes(project / "whole")
    assert kept > len(whole.protocol.probes) * 2 // 3
    # Always three probes further, until it is done: everything is taken once, in one of the runs.
    runs, stop_after = 1, 3
    found = audited(project, "parts", checks=checks)
    while found.run.signal:
        assert found.run.signal == "SIGTERM"
        runs, stop_after = runs + 1, 3
        found = audited(project, "parts", checks=checks, again=True)
    assert runs == kept // 3 + 1
    assert outside_run(found) == outside_run(whole)


def test_what_was_kept_of_other_settings_is_not_used_and_what_differs_is_named(project):
    audited(project, "out", checks=FEW)
    write(project, "model.py", MODEL.replace("Tanh", "GELU"))
    told, other = Told(), {"checks": FEW, "protocol": {**PROTOCOL, "seed": 1}}
    found = audited(project, "out", again=True, progress=told, **other)
    assert "of another audit: model, code, protocol changed" in told.notes[0]
    assert outside_run(found) == outside_run(audited(project, "new", **other))


def test_without_resume_what_was_kept_is_removed_and_told(project):
    audited(project, "out", checks=FEW)
    strange = project / "out/.probes/strange.safetensors"
    strange.write_text("left by a newer version")
    told = Told()
    audited(project, "out", progress=told, checks=FEW)
    assert "of an interrupted audit removed, as --resume was not given." in told.notes[0]
    assert not strange.exists()


def test_each_change_of_the_machine_is_named_with_what_it_was_and_what_it_is(project, monkeypatch):
    audited(project, "out", checks=FEW)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 64)
    monkeypatch.setattr(torch, "__version__", "9.1")
    begin = project / "out/.probes/begin.json"
    kept = json.loads(begin.read_text())
    threads, version = (kept["rests_on"]["machine"][name] for name in ("threads", "torch"))
    kept["rests_on"]["machine"]["\x1b[31m"] = "\n" + "x" * 1000
    begin.write_text(json.dumps(kept))
    told = Told()
    audited(project, "out", again=True, progress=told, checks=FEW)
    assert f"threads ({threads} → 64), torch ({version} → 9.1) changed. The audit starts" in told.notes[0]
    assert r"\x1b[31m (\nxxx" in told.notes[0]
    assert told.notes[0].isprintable()
    assert len(told.notes[0]) < 600


def test_resuming_nothing_is_told_and_runs(project):
    told = Told()
    audited(project, "out", again=True, progress=told, checks=FEW)
    assert "nothing to resume. The audit starts from the beginning." in told.notes[0]


def test_more_checks_and_more_time_go_on_from_what_was_kept(project):
    audited(project, "out", checks={"only": ["sharpness"]})
    told = Told()
    limits = {**PROTOCOL, "max_time": "1h"}
    checks = {"only": ["sharpness", "trace"]}
    found = audited(project, "out", again=True, progress=told, checks=checks, protocol=limits)
    assert "Going on" in told.notes[0]
    assert {check.id for check in found.checks} == {"sharpness", "trace"}


ADDRESSED = """
import os
from torch import nn

class Addressed(nn.Sequential):
    def extra_repr(self): return f"<function act at 0x{os.urandom(6).hex()}>"

def build(): return Addressed(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))
"""


def test_an_address_in_how_a_model_shows_itself_does_not_make_it_another_one(project):
    write(project, "model.py", ADDRESSED)
    audited(project, "out", checks=FEW)
    told = Told()
    audited(project, "out", again=True, progress=told, checks=FEW)
    assert "Going on with an interrupted audit" in told.notes[0]


@pytest.mark.parametrize(("name", "value"), [("memory", -1), ("gradient_seconds", math.nan), ("hvp_gradients", -2.0)])
def test_a_beginning_that_cannot_have_been_is_not_gone_on_from(project, name, value):
    whole = audited(project, "out", checks=FEW)
    path = project / "out/.probes/begin.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))
    told = Told()
    found = audited(project, "out", again=True, progress=told, checks=FEW)
    assert "what was kept cannot be read" in told.notes[0]
    assert outside_run(found) == outside_run(whole)
