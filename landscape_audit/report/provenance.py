"""What was audited, how, and with what: everything that two audits must share to be compared."""

from __future__ import annotations

from landscape_audit.report.cost import in_gradients
from landscape_audit.results import AuditResults, DataInfo, SubjectInfo
from landscape_audit.text import count, number, percent, printable

MOST_FILES = 2
"""Files named where a reader is told of them; a checkpoint may be of hundreds."""


def identity_of(results: AuditResults) -> tuple[tuple[str, str], ...]:
    """What was audited, in short."""
    subject, data, cost = results.subject, results.data, results.protocol.cost
    machine, protocol = results.environment, results.protocol
    return (
        ("Checkpoint", _files(subject)),
        ("Tensors", f"{subject.tensor_digest[:12]}, {subject.parameters:,} parameters audited"),
        ("Model", printable(subject.model, 80)),
        ("Data", f"{printable(data.source, 80)}, {_drawn(data)} ({data.fingerprint[:12]})"),
        ("Loss", printable(data.loss, 80)),
        ("Policy", _policy(results)),
        ("Audited", f"{results.run.finished[:10]} on {printable(machine.device, 40)}, {protocol.dtype}"),
        ("Protocol", f"{printable(protocol.preset, 40)}, seed {protocol.seed}"),
        ("Cost", f"{in_gradients(cost, results.run):.0f} gradients of the whole sample"),
        ("Tool", f"landscape-audit {printable(machine.landscape_audit, 40)}, torch {printable(machine.torch, 40)}"),
    )


def _files(subject: SubjectInfo) -> str:
    """The first of them: `digests_of` has them all."""
    named = [f"{printable(file.name, 48)} ({file.sha256[:12]})" for file in subject.files[:MOST_FILES]]
    left = len(subject.files) - len(named)
    return ", ".join([*named, *([f"and {count(left, 'more file')}"] if left else [])]) or "none"


def _policy(results: AuditResults) -> str:
    """What it is made of, how much it asks, and the digest under which the results are sealed."""
    policy = results.policy
    made_of = printable(", ".join(policy.sources), 60) or "none"
    digest = f" ({results.seal['policy'][:12]})" if results.seal and "policy" in results.seal else ""
    asked = f"{count(len(policy.gates), 'gate')}, {count(len(policy.waivers), 'waiver')}"
    return f"{made_of}: {asked}{digest}"


def method_of(results: AuditResults) -> tuple[tuple[str, str], ...]:
    """How it was measured, and what was done differently from what was asked."""
    protocol = results.protocol
    given = ((name, value) for name, value in protocol.budgets.items() if value is not None)
    budgets = " · ".join(f"{name.replace('_', ' ')} {_budget(value)}" for name, value in given)
    return (
        ("Preset and seed", f"{protocol.preset}, seed {protocol.seed}"),
        ("Arithmetic", f"{protocol.dtype}; TF32 {'on' if results.environment.tf32 else 'off'}"),
        ("Second derivatives", printable(protocol.hvp_engine, 300)),
        ("Mode", printable(" ".join(protocol.mode), 600)),
        ("Budgets", budgets),
        ("Done differently", printable(" ".join(protocol.adjustments), 1500) or "Nothing."),
        ("Confidence", f"{percent(protocol.level, 6)} for sampling and probe intervals"),
    )


def digests_of(results: AuditResults) -> tuple[tuple[str, str], ...]:
    """What tells this checkpoint from every other, in full."""
    files = ((f"SHA-256 of {printable(file.name, 80)}", file.sha256) for file in results.subject.files)
    return (*files, ("Digest of the tensors", results.subject.tensor_digest))


def provenance_of(results: AuditResults) -> tuple[tuple[str, str], ...]:
    """Digests, versions and the machine."""
    subject, machine = results.subject, results.environment
    groups = ", ".join(f"{group.tensors:,} {group.dtype} tensors" for group in subject.tensor_groups)
    packages = ", ".join(f"{name} {version}" for name, version in machine.packages.items())
    return (
        *digests_of(results),
        ("Stored as", printable(groups)),
        ("Fingerprint of the data", results.data.fingerprint),
        ("Frozen parameters, buffers", f"{subject.frozen_parameters:,}, {subject.buffers:,}"),
        *([("Audited parameters", _chosen(subject))] if subject.parameter_globs else []),
        ("Software", f"landscape-audit {machine.landscape_audit}, torch {machine.torch}, {packages}"),
        ("Machine", printable(f"{machine.device_name}, {machine.platform}, {count(machine.threads, 'thread')}", 200)),
        ("Run", f"{results.run.started} to {results.run.finished}, {results.run.seconds:.0f} s"),
        ("Schema", results.schema_version),
    )


def _chosen(subject: SubjectInfo) -> str:
    whole = subject.parameters + subject.frozen_parameters
    return printable(f"{subject.parameters:,} of {whole:,}, by {', '.join(subject.parameter_globs)}", 300)


def _drawn(data: DataInfo) -> str:
    """`100 of 5,000 examples, drawn with seed 0, every class in proportion`."""
    of = f"{data.n_samples:,} of {data.drawn_from:,}" if data.drawn_from else f"{data.n_samples:,}"
    if data.draw == "all":
        return f"{data.n_samples:,} examples"
    if data.draw == "first":
        return f"{of} examples, the first ones"
    classes = ", every class in proportion" if data.draw == "stratified" else ""
    return f"{of} examples, drawn with seed {data.draw_seed}{classes}"


def _budget(value: object) -> str:
    if isinstance(value, (tuple, list)):
        return " ".join(number(float(item)) for item in value)
    return number(float(value)) if isinstance(value, (int, float)) else printable(value)
