"""`landscape-audit gate`: stored results judged again, without measuring."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated

import typer

from landscape_audit.cli.formats import FormatOption, chosen_formats, tell_github, write_formats
from landscape_audit.cli.stored import read_stored, results_file
from landscape_audit.cli.summary import failures, gate_table
from landscape_audit.errors import UsageError
from landscape_audit.policy import EffectivePolicy
from landscape_audit.results import AuditResults
from landscape_audit.text import printable

_Json = Annotated[bool, typer.Option("--json", help="Print the judged results, and nothing else, on stdout.")]
_Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Only the last line.")]


def gate(
    results: Annotated[
        Path, typer.Argument(help="A results.json that an audit wrote, or its folder.", show_default=False)
    ],
    policy: Annotated[Path | None, typer.Option(help="Judge by this policy.toml.", show_default=False)] = None,
    config: Annotated[
        Path | None, typer.Option(help="Judge by the gates of this audit.toml.", show_default=False)
    ] = None,
    baseline: Annotated[
        Path | None,
        typer.Option(help="Compare with this results.json, or its folder, of another audit.", show_default=False),
    ] = None,
    formats: FormatOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Where formats go; by default beside the results.")
    ] = None,
    json: _Json = False,
    quiet: _Quiet = False,
) -> None:
    """Judge stored results and exit with the verdict's code.

    Without --policy or --config, the policy that is stored in the results is applied again, so that a waiver that has
    expired since then counts no more. Without --baseline, what the audit was compared with is again. Nothing is
    measured and the results file is not changed; what `--format` asks for is written beside it, or into `--out`.

    Exit codes: 0 passed, 1 a gate failed, 2 a mistake in the policy, 3 undecided, 4 not results, 5 partial results.

    Example:  landscape-audit gate out/results.json --policy policy.toml
    """
    from landscape_audit.gates.judge import judged, last_line
    from landscape_audit.seal import changed_since_sealed

    names = chosen_formats(formats, json=json)
    path = results_file(results)
    stored = read_stored(path)
    if baseline is not None:
        from landscape_audit.comparison.baseline import baseline_of

        stored = stored.model_copy(update={"baseline": baseline_of(stored, read_stored(baseline))})
    for part in changed_since_sealed(path):
        typer.echo(f"note: {printable(path)}: {printable(part)} is not as the audit wrote it.", err=True)
    verdict = judged(stored, _policy(stored, policy, config), dt.datetime.now(dt.UTC).date())
    write_formats(verdict, out or path.parent, names, quiet=quiet)
    if json:
        typer.echo(verdict.to_json(), nl=False)
    if not quiet:
        typer.echo(gate_table(verdict), err=True)
    for line in failures(verdict):
        typer.echo(line, err=True)
    tell_github(verdict, names, None, verdict.verdict.exit_code)
    typer.echo(last_line(verdict, None, verdict.verdict.exit_code), err=True)
    raise typer.Exit(verdict.verdict.exit_code)


def _policy(stored: AuditResults, policy: Path | None, config: Path | None) -> EffectivePolicy:
    from landscape_audit.gates.policy_file import effective, layers, read_policy
    from landscape_audit.toml_file import read_toml

    if policy is not None and config is not None:
        raise UsageError("--policy and --config: both name gates.", remedy="Give one of them.")
    if policy is not None:
        return read_policy(policy)
    if config is not None:
        return effective(layers(read_toml(config), config), str(config))
    return stored.policy
