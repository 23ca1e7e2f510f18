"""`landscape-audit policy`: is a policy right, and what is in force?"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from landscape_audit.errors import AuditError, PolicyError
from landscape_audit.text import count, printable

if TYPE_CHECKING:
    from landscape_audit.policy import EffectivePolicy


def policy(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FILE]…",
            help="Policies, audit.toml files, or observe, recommended, strict; all three without.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Tell whether policies are right, before an audit is paid for, and show what they demand.

    Found are mistakes in the TOML, settings that there are not, gates on numbers that no audit has or words that no
    label is, policies to extend that are not there, and waivers that are malformed, expired, or of no gate. One file
    is shown as it is in force, with all that it extends; several are told in a line each, as for pre-commit.

    **Examples**

        landscape-audit policy audit.toml

        landscape-audit policy recommended

    **Exit codes:** 0 all are right, 2 one is not.
    """
    from landscape_audit.gates.policy_file import BUILT_IN, about

    if not files:
        for name in BUILT_IN:
            typer.echo(f"{name}: {about(name).removeprefix(f'{name}: ')}\n{_in_force(_right(Path(name)))}")
        return
    if len(files) == 1:
        found = _right(files[0])
        typer.echo(f"{_line(files[0], found)}\n{_in_force(found)}", nl=False)
        return
    wrong = [file for file in files if not _is_right(file)]
    if wrong:
        told = f"{len(wrong)} of {count(len(files), 'policy', 'policies')} cannot be used."
        raise PolicyError(told, remedy="Mend what is told above.")


def _right(file: Path) -> EffectivePolicy:
    """The policy in a file, or the first error in it."""
    from landscape_audit.gates.lint import expect, refuse_malformed_waivers
    from landscape_audit.gates.policy_file import read_gates

    found = read_gates(file)
    try:
        expect(found)
        refuse_malformed_waivers(found)
    except PolicyError as error:
        raise PolicyError(f"{file}: {error.what}", remedy=error.remedy) from None
    return found


def _is_right(file: Path) -> bool:
    try:
        typer.echo(_line(file, _right(file)))
    except AuditError as error:
        typer.echo(f"landscape-audit: error: {error}", err=True)
        return False
    return True


def _line(file: Path, found: EffectivePolicy) -> str:
    told = [count(len(found.gates), "gate"), count(len(found.waivers), "waiver")]
    return f"{printable(file)}: {', '.join([*told, *_expired(found)])}."


def _expired(found: EffectivePolicy) -> list[str]:
    from landscape_audit.policy import Waiver

    today = dt.datetime.now(dt.UTC).date()
    past = [each for each in found.waivers if isinstance(each, Waiver) and each.has_expired(today)]
    return [f"expired: that of {printable(each.gate)}, on {each.expires}" for each in past]


def _in_force(found: EffectivePolicy) -> str:
    """The settings, then three lines a gate."""
    from landscape_audit.cli.columns import folded
    from landscape_audit.report.policy import gates_of, settings_of

    settings = settings_of(found)
    width = max(len(name) for name, _ in settings)
    lines = [f"  {name:<{width}}  {said}" for name, said in settings]
    for key, demand, level, follows, why, written in gates_of(found).rows:
        own = "" if follows == "—" else f", {follows}"
        told = (f"  {key}: {demand}", f"    {why}", f"    {level}{own}; {written}")
        lines += ["", *(line for each in told for line in folded(each, 6))]
    return "\n".join([*lines, "", ""])
