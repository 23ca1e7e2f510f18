"""`landscape-audit checks`: what is measured, and how each number is defined."""

from __future__ import annotations

import inspect
from typing import Annotated

import typer

from landscape_audit.errors import UsageError
from landscape_audit.text import did_you_mean


def checks(
    name: Annotated[str, typer.Argument(help="A check to explain; all are listed without.", show_default=False)] = "",
) -> None:
    """List the checks of the battery, or explain one.

    The explanation holds the definition, what its interval means, its caveats, the ids that gates can be on, the
    source, what it rests on and what that costs, and the advice that can follow from it.

    Example:  landscape-audit checks sharpness
    """
    from landscape_audit.advice import following_from
    from landscape_audit.checks import BATTERY, OPT_IN
    from landscape_audit.ids import ANY, given_by
    from landscape_audit.probes.probe import with_needs

    known = (*BATTERY, *OPT_IN)
    if not name:
        width = max(len(check.id) for check in known)
        for check in known:
            typer.echo(f"{check.id:<{width}}  {check.question}{' (opt-in)' if check in OPT_IN else ''}")
        return
    found = next((check for check in known if check.id == name), None)
    if found is None:
        raise UsageError(
            f"checks: there is no check '{name}'.", remedy=did_you_mean(name, (check.id for check in known))
        )
    typer.echo(f"{found.id}, version {found.version}: {found.title}\n{found.question}\n\n{found.explanation}\n")
    typer.echo("Gives, for gates:")
    given = given_by(found.id)
    width = max((len(each.key) for each in given), default=0)
    for each in given:
        words = f": {', '.join(each.words)}" if each.words and each.words != ANY else ""
        needs = f" (needs {each.needs})" if each.needs else ""
        typer.echo(f"  {each.key:<{width}}  {each.name.replace('{}', '<number>')}{words}{needs}")
    typer.echo(f"\nSource: {found.source}\n\nRests on, each measured once for all checks:")
    probes = with_needs(found.probes)
    width = max(len(probe.name) for probe in probes)
    for probe in probes:
        typer.echo(f"  {probe.name:<{width}}  {inspect.getdoc(probe.cost)}")
    typer.echo("`landscape-audit plan` says what that comes to.")
    if rules := following_from(found.id):
        typer.echo("\nAdvice that can follow from it:")
    for rule in rules:
        typer.echo(f"  {rule.say} ({'; '.join(rule.source)})")
