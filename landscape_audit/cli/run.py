"""`landscape-audit run`: measure, judge, report."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from landscape_audit.cli import options
from landscape_audit.cli.caches import caches_apart
from landscape_audit.cli.claim import claimed, how_to_go_on
from landscape_audit.cli.demands import demanded
from landscape_audit.cli.formats import FormatOption, chosen_formats, files_of, tell_github, write_formats
from landscape_audit.cli.outputs import named_after
from landscape_audit.cli.progress import Bar, listener, tell
from landscape_audit.cli.reference import Reference, reference
from landscape_audit.cli.streams import stdout_kept_clean
from landscape_audit.cli.summary import failures, summary
from landscape_audit.errors import UsageError
from landscape_audit.files import writable_folder, write_atomically
from landscape_audit.gates.judge import day_of, judged, last_line
from landscape_audit.interruption import EXIT_CODES
from landscape_audit.policy import EffectivePolicy
from landscape_audit.results import AuditResults
from landscape_audit.resume import forget
from landscape_audit.seal import sealed
from landscape_audit.torchrun import is_several, leads, require_torchrun

if TYPE_CHECKING:
    from landscape_audit.measure import Compare


def run(
    checkpoint: options.Checkpoint = None,
    config: options.Config = None,
    model: options.ModelOption = None,
    model_arg: options.ModelArguments = None,
    parameters: options.Parameters = None,
    data: options.DataOption = None,
    loss: options.LossOption = None,
    n_samples: options.Samples = None,
    batch_size: options.BatchSize = None,
    policy: Annotated[
        Path | None, typer.Option("--policy", help="Gates from this file instead of those in audit.toml.")
    ] = None,
    baseline: Annotated[
        Path | None, typer.Option("--baseline", help="Compare with this results.json, or its folder, of another audit.")
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(
            "--against",
            help="Measure this checkpoint too, on the same batches and directions, and compare. Twice the cost.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Where to write; by default audit-NAME in this folder.")
    ] = None,
    preset: options.PresetOption = None,
    seed: options.Seed = None,
    device: options.Device = None,
    dtype: options.Dtype = None,
    learning_rate: options.Rate = None,
    max_time: options.MaxTime = None,
    only: options.Only = None,
    skip: options.Skip = None,
    save: Annotated[
        Path | None, typer.Option("--save", help="Write the better twin of the check `sam` there, a .safetensors.")
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with an interrupted run into this folder. Needs the same checkpoint, code, data and settings.",
        ),
    ] = False,
    pdf: Annotated[bool, typer.Option("--pdf/--no-pdf", help="Also render report.pdf (needs Pango).")] = True,
    formats: FormatOption = None,
    no_code: options.NoCode = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Audit a checkpoint: measure its loss landscape, hold gates against it, write the report.

    Takes `audit.toml` beside the checkpoint (or `--config`), or everything from flags; flags win. Writes
    `results.json`, `report.html`, `report.pdf` and `summary.md`.

    **Examples**

        landscape-audit run model.safetensors

        landscape-audit run model.safetensors --model model.py:build --data data.py:validation --preset quick

        landscape-audit run model.safetensors --against released.safetensors --policy policy.toml

        torchrun --nproc-per-node 2 -m landscape_audit run model.safetensors

    Probes are kept in `.probes` in the output folder as they finish, until the audit is whole; what the Krylov basis
    takes in memory they take on disk. An interrupted run says how to go on with them. Not under `torchrun`.

    With `--against` the other checkpoint is audited first, then this one, and they are compared piece by piece; what
    the other one gave is written beside as `baseline-results.json`. `--resume` measures the other anew and goes on
    with the audit of this one.

    Under `torchrun` the batches are shared out over the processes, and the first one writes. torchrun itself exits 1
    on any other code than 0: `landscape-audit gate` on the results has the right one.

    **Exit codes:** 0 every gate passed, 1 a gate failed, 2 usage, 3 undecided, 4 unusable input, 5 a check crashed,
    130 interrupted.
    """
    argv = _argv()
    names = chosen_formats(formats, json=json)
    flags = options.flags_of(
        model=model,
        model_args=model_arg,
        parameters=parameters,
        data=data,
        loss=loss,
        n_samples=n_samples,
        batch_size=batch_size,
        only=only,
        skip=skip,
        preset=preset,
        seed=seed,
        device=device,
        dtype=dtype,
        learning_rate=learning_rate,
        max_time=max_time,
    )
    asked = options.request(checkpoint, config, flags, no_code=no_code)
    if save is not None:
        asked = _saving(asked, save)
    in_force = demanded(asked, policy)
    asked = replace(asked, policy=in_force)
    require_torchrun()
    if resume and is_several():
        raise UsageError("--resume: several processes keep no probes.", remedy="Remove it: the audit starts anew.")
    with stdout_kept_clean():
        compared = reference(asked, baseline, against, quiet=quiet or json or not leads())
    if not leads():
        _helped(asked, in_force, compared, argv)
    if pdf:
        from landscape_audit.report.pdf import require_pango

        require_pango()
    folder = writable_folder(out or named_after(asked.checkpoint, "audit"))
    with claimed(folder, files_of(names)) as give_room_back:
        compare = compared.baseline(lambda other: _measured(other, other.policy, argv, quiet=quiet or json), folder)
        measured = _measured(asked, in_force, argv, folder=folder, resume=resume, quiet=quiet or json, compare=compare)
        # Kept whatever judging and rendering make of it, with the demands that `gate` is to hold against it again.
        kept = measured.model_copy(update={"policy": in_force})
        give_room_back()
        writable_folder(folder)  # it may have been removed meanwhile
        write_atomically(folder / "results.json", kept.to_json().encode())
        results = sealed(judged(measured, in_force, day_of(measured)))
        write_atomically(folder / "results.json", results.to_json().encode())
        # Before the reports, which take long and may fail: what gates a merge is there by then.
        write_formats(results, folder, names, quiet=quiet)
        report = _reported(results, folder, pdf=pdf)
        stopped = results.run.signal
        if not (stopped or results.run.out_of_time):
            forget(folder)
    if json:
        sys.stdout.write(results.to_json())
    code = EXIT_CODES[stopped] if stopped else results.verdict.exit_code
    _told(results, folder, quiet=quiet or json)
    tell_github(results, names, report, code)
    tell(last_line(results, report, code))
    raise typer.Exit(code)


def _told(results: AuditResults, folder: Path, *, quiet: bool) -> None:
    """The summary unless it is not wanted; what went wrong, and how to go on, in any case."""
    if not quiet:
        tell(summary(results))
    for line in failures(results):
        tell(line)
    how_to_go_on(folder)


def _helped(asked: options.Request, in_force: EffectivePolicy, compared: Reference, argv: list[str]) -> NoReturn:
    """What a process does that is not the first of several: its share of the measuring, and nothing else."""
    compare = compared.baseline(lambda other: _measured(other, other.policy, argv, quiet=True))
    _measured(asked, in_force, argv, quiet=True, compare=compare)
    raise typer.Exit


def _argv() -> list[str]:
    """The command line as the results will record it: JSON carries no bytes that are not text."""
    for argument in sys.argv[1:]:
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise UsageError(
                f"{argument}: is not UTF-8, and the results record the command line.", remedy="Rename the file."
            ) from None
    return sys.argv[1:]


def _saving(asked: options.Request, path: Path) -> options.Request:
    """The request with the twin saved at `path`, which starts here and not at the folder of audit.toml."""
    from landscape_audit.checks import chosen

    checks = asked.spec.checks
    if not checks.sam.enabled:
        raise UsageError(
            "--save: there is no twin to save, as the check 'sam' is not enabled.",
            remedy='[checks.sam] enabled = true, train = "data.py:training"',
        )
    if "sam" not in {check.id for check in chosen(checks)}:
        raise UsageError(
            "--save: there is no twin to save, as --only or --skip leaves the check 'sam' out.",
            remedy="Let it run, or remove --save.",
        )
    sam = checks.sam.model_copy(update={"save": Path.cwd() / path})
    spec = asked.spec.model_copy(update={"checks": checks.model_copy(update={"sam": sam})})
    return replace(asked, spec=spec)


def _measured(
    asked: options.Request,
    in_force: EffectivePolicy,
    argv: list[str],
    *,
    folder: Path | None = None,
    resume: bool = False,
    quiet: bool,
    compare: Compare | None = None,
) -> AuditResults:
    from landscape_audit.measure import audit

    progress = listener(quiet=quiet)
    with contextlib.ExitStack() as stack:
        stack.enter_context(stdout_kept_clean())
        if isinstance(progress, Bar):
            stack.callback(progress.close)
        return audit(
            asked.spec,
            asked.checkpoint,
            asked.base,
            policy=in_force,
            argv=argv,
            progress=progress,
            folder=folder,
            resume=resume,
            compare=compare,
        )


def _reported(results: AuditResults, folder: Path, *, pdf: bool) -> Path:
    from landscape_audit.report.write import write_reports

    with caches_apart():
        return write_reports(results, folder, pdf=pdf)["html"]
