"""What is wrong with a policy whatever is audited: gates that could never match, known before anything is loaded."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from landscape_audit.errors import PolicyError
from landscape_audit.gates.kinds import refuse_wrong_kind
from landscape_audit.gates.waiving import refuse_strays
from landscape_audit.ids import ANY, IDS, Id, declared, given_by
from landscape_audit.policy import Gate, MalformedWaiver, Policy
from landscape_audit.text import did_you_mean, listed

CHECKS = tuple(dict.fromkeys(each.check for each in IDS))
"""The checks of the battery, and those that can be enabled, in the order of the report."""


def expect(policy: Policy, checks: Iterable[str] = CHECKS, off: Collection[str] = ()) -> None:
    """A `PolicyError` for a gate or a waiver that could never match.

    `checks` are those that will run, `off` those that would have to be enabled first. What a check gives is declared
    in `ids`; of one that is not of the battery nothing is known before it has run. Gates of level off may be anything.
    """
    refuse_strays(policy)
    known = sorted(checks)
    for key, gate in policy.gates.items():
        if gate.level == "off":
            continue
        name = key.partition(".")[0]
        if name not in known:
            wanted = f"[checks.{name}] enabled = true" if name in off else did_you_mean(name, known)
            raise PolicyError(f"gate '{key}': no check '{name}' will run.", remedy=f'{wanted} Or set level = "off".')
        if given_by(name):
            what = _declared(key)
            words = () if what.words == ANY else what.words or None
            refuse_wrong_kind(key, gate, what.direction, words)
            _refuse_strange_words(gate, what)


def _declared(key: str) -> Id:
    found = declared(key)
    if found is None:
        name = key.partition(".")[0]
        remedy = did_you_mean(key, (each.key for each in given_by(name)))
        raise PolicyError(f"gate '{key}': {name} gives nothing of that name.", remedy=remedy)
    return found


def _refuse_strange_words(gate: Gate, what: Id) -> None:
    strange = [word for word in gate.one_of or () if word not in what.words] if what.words != ANY else []
    if strange:
        raise PolicyError(
            f"gate '{what.key}': it is never {listed(strange)}.", remedy=did_you_mean(strange[0], what.words)
        )


def refuse_malformed_waivers(policy: Policy) -> None:
    """An audit only tells of them, as they let nothing through; who writes one is better told at once."""
    for waiver in policy.waivers:
        if isinstance(waiver, MalformedWaiver):
            raise PolicyError(
                f"waiver of '{waiver.gate}': {waiver.problem}.",
                remedy="It needs gate, reason, approver, expires and checkpoint_sha256.",
            )
