"""`landscape-audit calibrate`: the noise floor of every number, and limits that follow from it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from landscape_audit.cli import options
from landscape_audit.cli.outputs import named_after, refuse_strangers
from landscape_audit.cli.progress import seconds, tell
from landscape_audit.cli.streams import stdout_kept_clean
from landscape_audit.errors import OutputError, UsageError
from landscape_audit.files import room_held, sweep, writable_folder, write_atomically
from landscape_audit.interruption import EXIT_CODES
from landscape_audit.lock import locked
from landscape_audit.plan import Plan, Silent
from landscape_audit.text import count, mebibytes, printable
from landscape_audit.torchrun import is_several

if TYPE_CHECKING:  # its models take a while to build, which every other command would wait for
    from landscape_audit.calibration.record import Calibration

OUTPUTS = ("calibration.json", "calibration.md", "gates.toml")


def calibrate(
    checkpoint: options.Checkpoint = None,
    config: options.Config = None,
    model: options.ModelOption = None,
    model_arg: options.ModelArguments = None,
    parameters: options.Parameters = None,
    data: options.DataOption = None,
    loss: options.LossOption = None,
    n_samples: options.Samples = None,
    batch_size: options.BatchSize = None,
    n: Annotated[int, typer.Option("-n", "--audits", help="How many audits; at least 5.")] = 20,
    false_alarm: Annotated[
        float, typer.Option("--false-alarm", help="How often an equal checkpoint may not pass a gate: under 0.5.")
    ] = 0.05,
    family: Annotated[
        bool, typer.Option("--family", help="That rate for all gates together, and not for each (Bonferroni).")
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Where to write; by default calibration-NAME in this folder.")
    ] = None,
    preset: options.PresetOption = None,
    seed: options.Seed = None,
    device: options.Device = None,
    dtype: options.Dtype = None,
    learning_rate: options.Rate = None,
    only: options.Only = None,
    skip: options.Skip = None,
    no_code: options.NoCode = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Audit a checkpoint many times, and propose limits that an equal one passes.

    Each audit has a seed and a sample of its own: another draw where `n_samples` are taken out of at least twice as
    many examples, else a bootstrap of the audited ones. How much a number then varies is its noise floor; a limit
    stands as far off as one more audit may report by chance, at the false-alarm rate that was asked for.

    Writes calibration.json, calibration.md and gates.toml, a policy for `run --policy`.

    **Example**

        landscape-audit calibrate model.safetensors -n 20 --preset quick --out calibration

    **Exit codes:** 0 done, 2 usage, 4 unusable input, 5 a check crashed, 130 interrupted: with 5 audits or more,
    limits are proposed from those.
    """
    _refuse(n, false_alarm)
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
    )
    asked = options.request(checkpoint, config, flags, no_code=no_code)
    folder = writable_folder(out or named_after(asked.checkpoint, "calibration"))
    with _claimed(folder) as give_room_back:
        found = _calibrated(asked, n, false_alarm, family=family, quiet=quiet or json)
        give_room_back()
        writable_folder(folder)  # it may have been removed meanwhile
        proposed = _written(found, folder)
    if json:
        typer.echo(found.to_json(), nl=False)
    elif not quiet:
        from landscape_audit.calibration.table import terminal_table

        tell(terminal_table(found))
    code = EXIT_CODES[found.signal] if found.signal else 0
    where = printable(folder / "gates.toml") if proposed else f"no limits: {printable(folder / 'calibration.md')}"
    tell(f"landscape-audit: CALIBRATED  {count(len(found.audits), 'audit')}, {_limits(found)}  (exit {code})  {where}")
    raise typer.Exit(code)


def _refuse(n: int, false_alarm: float) -> None:
    from landscape_audit.calibration.record import FEWEST, RAREST

    if n < FEWEST:
        raise UsageError(
            f"-n {n}: the spread of {count(n, 'audit')} is itself hardly known.",
            remedy=f"Ask for {FEWEST} or more; 20 know it to 16 %.",
        )
    if not RAREST <= false_alarm < 0.5:
        raise UsageError(
            f"--false-alarm {false_alarm:g}: is no rate from {RAREST:g} to less than 0.5.",
            remedy="0.05 lets one in twenty audits of an equal checkpoint not pass.",
        )
    if is_several():
        raise UsageError("calibrate: several processes were started.", remedy="Start one, without torchrun.")


@contextlib.contextmanager
def _claimed(folder: Path) -> Iterator[Callable[[], None]]:
    """The folder, this process's alone, without the files of an earlier calibration; none is left empty.

    Gives what frees the room that was held for the new ones.
    """
    try:
        with locked(folder, lambda message: tell(f"note: {message}")):
            sweep(folder, OUTPUTS)
            with room_held(folder) as give_room_back:
                _clear(folder)
                yield give_room_back
    except BaseException:
        with contextlib.suppress(OSError):
            folder.rmdir()
        raise


def _clear(folder: Path) -> None:
    """Remove an earlier calibration; an error where a file of these names is none's, and nothing is removed."""
    refuse_strangers(folder, OUTPUTS)
    for path in (folder / name for name in reversed(OUTPUTS)):
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(
                f"{path}: is in the way: {error.strerror}.", remedy="Move it, or choose another --out."
            ) from None


def _calibrated(asked: options.Request, n: int, false_alarm: float, *, family: bool, quiet: bool) -> Calibration:
    from landscape_audit.calibration.calibration import calibration
    from landscape_audit.repeats import repeated_audits

    progress = _Counting(n, quiet=quiet)
    with stdout_kept_clean():
        done = repeated_audits(asked.spec, asked.checkpoint, asked.base, n, progress.of)
    if not done.audits:
        raise KeyboardInterrupt(done.signal)
    return calibration(
        done.audits, done.resampling, asked=n, false_alarm=false_alarm, family=family, signal=done.signal
    )


def _written(found: Calibration, folder: Path) -> bool:
    """Whether there are limits among what was written."""
    from landscape_audit.calibration.gates import gates_toml
    from landscape_audit.calibration.table import markdown

    write_atomically(folder / "calibration.json", found.to_json().encode())
    write_atomically(folder / "calibration.md", markdown(found).encode())
    if text := gates_toml(found):
        write_atomically(folder / "gates.toml", text.encode())
    return bool(text)


def _limits(found: Calibration) -> str:
    return count(len(found.limited) + sum(bool(label.one_of) for label in found.labels), "gate")


class _Counting(Silent):
    """A line an audit, with the time left; the forecast before the first; what is to be noted once."""

    def __init__(self, audits: int, *, quiet: bool) -> None:
        self._audits, self._tell = audits, (lambda _: None) if quiet else tell
        self._index = 0
        self._start = time.monotonic()
        self._noted: set[str] = set()

    def of(self, index: int) -> _Counting:
        """For audit `index`, which starts."""
        self._index = index
        if index == 1:
            self._start = time.monotonic()  # the first also reads the checkpoint and the model
        done = index - 1
        left = (time.monotonic() - self._start) / done * (self._audits - index) if done > 0 else None
        about = f", about {seconds(left)} left" if left is not None else ""
        self._tell(f"  audit {index + 1} of {self._audits}{about}")
        return self

    def planned(self, plan: Plan) -> None:
        """Say what all will cost, before the first."""
        if self._index == 0:
            n = self._audits
            self._tell(
                f"{count(n, 'audit')} of {plan.parameters:,} parameters on {plan.n_samples:,} examples: about "
                f"{n} × {plan.gradients:.0f} = {n * plan.gradients:,.0f} gradients of the whole sample, "
                f"{seconds(n * plan.seconds)}, {mebibytes(plan.memory_bytes)}."
            )

    def note(self, message: str) -> None:
        """Say it, unless it was said."""
        if message not in self._noted:
            self._noted.add(message)
            self._tell(f"  note: {printable(message)}")
