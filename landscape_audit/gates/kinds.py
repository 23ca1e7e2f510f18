"""Whether a gate is of the kind that it is on: limits are for numbers, lists of words for labels."""

from __future__ import annotations

from collections.abc import Sequence

from landscape_audit.errors import PolicyError
from landscape_audit.estimate import Direction
from landscape_audit.policy import Gate


def refuse_wrong_kind(key: str, gate: Gate, direction: Direction, words: Sequence[str] | None) -> None:
    """A `PolicyError` where `gate` could never be held against `key`; `words` that it may be, None for a number."""
    if words is not None and gate.one_of is None:
        named = ", ".join(f'"{word}"' for word in words[:2]) or '"…"'
        raise PolicyError(f"gate '{key}': it is a label; limits are for numbers.", remedy=f"Use one_of = [{named}].")
    if words is None and gate.one_of is not None:
        raise PolicyError(f"gate '{key}': it is a number; one_of is for labels.", remedy="Use at_most or at_least.")
    if gate.no_worse_than_baseline and direction == "neither":
        raise PolicyError(
            f"gate '{key}': neither more nor less of it is better, so nothing is worse than the baseline.",
            remedy="Use between, at_most or at_least.",
        )
