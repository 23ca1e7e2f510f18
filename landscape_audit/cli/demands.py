"""What an audit is to be held against: its own policy or another, which must match what will be measured."""

from __future__ import annotations

from pathlib import Path

from landscape_audit.cli.options import Request
from landscape_audit.gates.lint import expect
from landscape_audit.gates.policy_file import read_policy
from landscape_audit.policy import EffectivePolicy


def demanded(asked: Request, policy: Path | None) -> EffectivePolicy:
    """The policy in a file instead of that of `asked`; an error where one of its gates could never match."""
    from landscape_audit.checks import OPT_IN, chosen

    found = asked.policy if policy is None else read_policy(policy)
    off = [check.id for check in OPT_IN if not getattr(asked.spec.checks, check.id).enabled]
    expect(found, (check.id for check in chosen(asked.spec.checks)), off)
    return found
