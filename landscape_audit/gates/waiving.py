"""Waivers held against a gate, a checkpoint and a day."""

from __future__ import annotations

import datetime as dt

from landscape_audit.errors import PolicyError
from landscape_audit.ids import REQUIRED
from landscape_audit.policy import MalformedWaiver, Policy, Waiver
from landscape_audit.results import AuditResults, WaiverRecord
from landscape_audit.text import did_you_mean


def refuse_strays(policy: Policy) -> None:
    """A waiver of a gate that is not there is a `PolicyError`: one of the two is misspelt."""
    for waiver in policy.waivers:
        if isinstance(waiver, Waiver) and waiver.gate not in {*policy.gates, *REQUIRED}:
            raise PolicyError(
                f"waiver of '{waiver.gate}': the policy has no such gate.",
                remedy=did_you_mean(waiver.gate, [*policy.gates, *REQUIRED]),
            )


def waiver_of(results: AuditResults, policy: Policy, key: str, today: dt.date) -> tuple[WaiverRecord | None, str]:
    """The waiver that holds for this gate, checkpoint and day; or why the ones there are do not."""
    meant = [waiver for waiver in policy.waivers if waiver.gate == key]
    malformed = (each.problem for each in meant if isinstance(each, MalformedWaiver))
    remarks = [f"A waiver of it is malformed and lets nothing through: {problem}." for problem in malformed]
    for waiver in sorted((each for each in meant if isinstance(each, Waiver)), key=lambda each: each.expires):
        if obstacle := _obstacle(results, waiver, today):
            remarks.append(obstacle)
        else:
            return WaiverRecord(
                reason=waiver.reason, approver=waiver.approver, expires=waiver.expires.isoformat()
            ), f"Waived by {waiver.approver} until {waiver.expires}: {waiver.reason}"
    return None, " ".join(remarks)


def _obstacle(results: AuditResults, waiver: Waiver, today: dt.date) -> str:
    if waiver.checkpoint_sha256 not in {file.sha256 for file in results.subject.files}:
        return "A waiver of it is for another checkpoint."
    return f"Its waiver expired on {waiver.expires}." if waiver.has_expired(today) else ""
