"""An audit: the battery run on a subject. The only place that carries on after an unknown error."""

from __future__ import annotations

import contextlib
import datetime as dt
import importlib.metadata
import os
import platform
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from landscape_audit import __version__
from landscape_audit.checks import BATTERY, Check, chosen
from landscape_audit.errors import CapabilityError
from landscape_audit.plan import Plan, PlannedProbe, Progress, Silent
from landscape_audit.probes.bench import Bench, Probe, ProbeFailedError, with_needs
from landscape_audit.probes.instrument import InstrumentTrial
from landscape_audit.results import (
    AuditResults,
    CheckResult,
    Cost,
    EnvironmentInfo,
    Failed,
    InstrumentInfo,
    Outcome,
    ProbeRecord,
    ProtocolInfo,
    RunInfo,
    Verdict,
)
from landscape_audit.spec import AuditSpec, ProtocolSpec
from landscape_audit.subject.subject import load_subject
from landscape_audit.text import printable

LIMITS = (
    "Every number is of the audited loss on the audited sample, in evaluation mode; intervals marked sampling say what "
    "other samples of the same size and distribution would give.",
    "Sharpness is not quality: most of its definitions correlate weakly with generalisation "
    "(Andriushchenko et al. 2023).",
    "Eigenvalues, trace and raw-radius sharpness depend on the parametrisation: rescaling layers moves them and no "
    "prediction (Dinh et al. 2017). Filter-normalised and adaptive measures do not share this.",
    "Two directions out of P are drawn in a surface; what it shows is not what there is.",
)

UNJUDGED = Verdict(word="OBSERVED", sentence="Measured; no policy was applied.", exit_code=0)


def audit(
    spec: AuditSpec, checkpoint: Path, base: Path, *, argv: Sequence[str] = (), progress: Progress | None = None
) -> AuditResults:
    """Measure everything `spec` asks for. Unjudged; partial, and saying so, where it was interrupted.

    `base` is the folder that paths in `spec` are relative to.
    """
    progress = progress or Silent()
    started, clock = _now(), time.monotonic()
    with _arithmetic():
        subject = load_subject(spec, checkpoint, base, device_of(spec.protocol))
        before = subject.state()
        bench = Bench(subject, spec.protocol, progress, _free_memory(subject.theta.device))
        checks = chosen(spec.checks)
        plan = _plan(bench, checks)
        progress.planned(plan)
        done = _run(bench, checks)
        after = subject.state()
        machine = environment(subject.theta.device)
    changed = () if before == after else ("the audited model was changed while it was audited",)
    return AuditResults(
        verdict=UNJUDGED,
        run=RunInfo(
            started=started,
            finished=_now(),
            seconds=time.monotonic() - clock,
            argv=tuple(argv),
            probe_seconds={name: ledger.seconds for name, ledger in bench.ledgers.items()},
            gradient_seconds=plan.gradient_seconds,
            hvp_seconds=plan.gradient_seconds * plan.hvp_gradients,
            signal=done.signal,
        ),
        subject=subject.info,
        data=subject.data,
        protocol=_protocol(bench, checks),
        environment=machine,
        instrument=_instrument(bench, changed),
        checks=done.results,
        partial=done.partial,
        skipped=tuple(check.id for check in BATTERY if check not in checks),
        unreached=tuple(check.id for check in checks[len(done.results) :]),
        limits=LIMITS,
    )


def plan_audit(spec: AuditSpec, checkpoint: Path, base: Path) -> Plan:
    """What `audit` would cost: loads the subject and times one gradient and one product."""
    with _arithmetic():
        subject = load_subject(spec, checkpoint, base, device_of(spec.protocol))
        bench = Bench(subject, spec.protocol, Silent(), _free_memory(subject.theta.device))
        return _plan(bench, chosen(spec.checks))


def device_of(protocol: ProtocolSpec) -> torch.device:
    """The device to audit on, or an error that says what there is."""
    name = protocol.device
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise CapabilityError(
            f"device {name}: this machine has {torch.cuda.device_count()} CUDA devices.", remedy="Use --device cpu."
        )
    return device


@dataclass(frozen=True)
class _Run:
    results: tuple[CheckResult, ...]
    partial: str | None = None
    signal: Literal["SIGINT", "SIGTERM"] | None = None


def _run(bench: Bench, checks: Sequence[Check]) -> _Run:
    results: list[CheckResult] = []
    try:
        with contextlib.suppress(ProbeFailedError):
            bench.take(InstrumentTrial())  # first in every audit, also where its check is not asked for
        for check in checks:
            results.append(_result(check, _outcome(bench, check)))  # noqa: PERF401 - kept one by one: Ctrl-C may come
    except KeyboardInterrupt as stop:
        done = f"interrupted: {len(results)} of {len(checks)} checks are done"
        return _Run(tuple(results), done, "SIGTERM" if stop.args == ("SIGTERM",) else "SIGINT")
    failed = [result.id for result in results if isinstance(result.outcome, Failed)]
    return _Run(tuple(results), f"failed: {', '.join(failed)}" if failed else None)


def _result(check: Check, outcome: Outcome) -> CheckResult:
    return CheckResult(
        id=check.id,
        version=check.version,
        title=check.title,
        question=check.question,
        source=check.source,
        outcome=outcome,
        probes=tuple(probe.name for probe in with_needs(check.probes)),
    )


def _outcome(bench: Bench, check: Check) -> Outcome:
    try:
        return check.measure(*(bench.take(probe) for probe in check.probes))
    except ProbeFailedError as error:
        return Failed(error=printable(error, limit=1000))
    except Exception as error:  # noqa: BLE001 - one check that breaks must not take the others with it
        return Failed(error=printable(f"{type(error).__name__}: {error}", limit=1000))


def _probes(checks: Sequence[Check]) -> tuple[Probe[object], ...]:
    return (InstrumentTrial(), *(probe for check in checks for probe in check.probes))


def _plan(bench: Bench, checks: Sequence[Check]) -> Plan:
    users = {check.id: with_needs(check.probes) for check in checks}
    gradient_seconds, hvp_gradients = _time(bench)
    size = bench.size
    basis = (min((size.budgets.lanczos_steps or 0) + 2, size.parameters)) * size.parameters
    return Plan(
        probes=tuple(
            PlannedProbe(probe.name, probe.cost(size), tuple(name for name, probes in users.items() if probe in probes))
            for probe in with_needs(_probes(checks))
        ),
        parameters=size.parameters,
        n_samples=bench.subject.data.n_samples,
        gradient_seconds=gradient_seconds,
        hvp_gradients=hvp_gradients,
        memory_bytes=basis * bench.subject.theta.element_size() + bench.hessian.kept_bytes,
    )


def _time(bench: Bench) -> tuple[float, float]:
    """Seconds of a gradient, and a product in gradients: the second of two of each, after the graphs are built."""
    subject = bench.subject
    with bench.outside_the_ledger("timing"):
        _seconds(bench.gradient)
        gradient = _seconds(bench.gradient)
        direction = torch.ones_like(subject.theta)
        _seconds(lambda: bench.hvp(direction))
        product = _seconds(lambda: bench.hvp(direction))
    return gradient, product / gradient


def _seconds(call: object) -> float:
    start = time.perf_counter()
    call()  # type: ignore[operator] # any callable; its result is not used
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def _protocol(bench: Bench, checks: Sequence[Check]) -> ProtocolInfo:
    size = bench.size
    planned = {probe.name: probe.cost(size) for probe in with_needs(_probes(checks))}
    return ProtocolInfo(
        preset=bench.protocol.preset,
        seed=bench.protocol.seed,
        dtype=bench.protocol.dtype,
        level=bench.protocol.level,
        budgets={**bench.budgets.model_dump(), "materiality": bench.protocol.materiality},
        probes=tuple(
            ProbeRecord(name=name, planned=planned.get(name, Cost()), cost=ledger.cost)
            for name, ledger in bench.ledgers.items()
        ),
        hvp_engine=bench.hessian.engine,
        mode=bench.subject.mode,
        adjustments=(*bench.subject.adjustments, *bench.adjustments),
    )


def _instrument(bench: Bench, changed: tuple[str, ...]) -> InstrumentInfo:
    if not bench.has(InstrumentTrial()):
        return InstrumentInfo(agrees=False, disagreements=("interrupted before the instrument was tried", *changed))
    try:
        trial = bench.take(InstrumentTrial())
    except ProbeFailedError as error:
        return InstrumentInfo(agrees=False, disagreements=(printable(error, limit=1000), *changed))
    wrong = tuple(
        f"{trialled.name}: {trialled.meaning} differ by {trialled.difference:.2g}, tolerance {trialled.tolerance:.2g}"
        for trialled in trial.agreements
        if not trialled.agrees
    )
    return InstrumentInfo(agrees=not (wrong or changed), disagreements=(*wrong, *changed))


def environment(device: torch.device) -> EnvironmentInfo:
    """The machine and the software that numbers may depend on."""
    names = ("numpy", "pydantic", "safetensors")
    return EnvironmentInfo(
        landscape_audit=__version__,
        python=platform.python_version(),
        torch=torch.__version__,
        device=device.type,
        device_name=torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine(),
        platform=f"{sys.platform} {platform.release()}",
        threads=torch.get_num_threads(),
        tf32=torch.backends.cuda.matmul.allow_tf32,
        deterministic=torch.are_deterministic_algorithms_enabled(),
        packages={name: importlib.metadata.version(name) for name in names},
    )


@dataclass(frozen=True)
class _Arithmetic:
    matmul: bool
    cudnn: bool
    deterministic: bool
    benchmark: bool


@contextlib.contextmanager
def _arithmetic() -> Iterator[None]:
    """TF32 off, deterministic kernels where torch has them, no autotuning; as it was, afterwards."""
    cuda, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    was = _Arithmetic(cuda.allow_tf32, cudnn.allow_tf32, torch.are_deterministic_algorithms_enabled(), cudnn.benchmark)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    cuda.allow_tf32 = cudnn.allow_tf32 = cudnn.benchmark = False
    torch.use_deterministic_algorithms(mode=True, warn_only=True)
    try:
        yield
    finally:
        cuda.allow_tf32, cudnn.allow_tf32, cudnn.benchmark = was.matmul, was.cudnn, was.benchmark
        torch.use_deterministic_algorithms(mode=was.deterministic)


def _free_memory(device: torch.device) -> int:
    """Half of the memory that is free: what basis and graphs may take."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] // 2
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
