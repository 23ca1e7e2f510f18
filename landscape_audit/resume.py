"""What an interrupted audit leaves in its output folder, and when another one may go on from it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, NonNegativeInt, ValidationError

from landscape_audit.errors import OutputError
from landscape_audit.files import sweep, write_atomically
from landscape_audit.text import count, printable

if TYPE_CHECKING:
    import torch

    from landscape_audit.plan import Progress
    from landscape_audit.probes.keeping import Keeping
    from landscape_audit.results import EnvironmentInfo
    from landscape_audit.spec import AuditSpec
    from landscape_audit.subject.subject import Subject
    from landscape_audit.training.twins import Course

FOLDER = ".probes"
_BEGIN = "begin.json"
_MOST = 20  # changes that are named: a machine has fewer, and a file that somebody else wrote may have any number


class Grounds(BaseModel):
    """What the numbers of an audit depend on, by what a person calls it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    digests: dict[str, str]
    """Of what the user gives."""
    machine: dict[str, str]
    """The machine and its software, in words: whoever finds them changed is told from what to what."""

    def key(self) -> str:
        """What a probe is kept under."""
        return _digest(self.model_dump())

    def changed_from(self, before: Grounds) -> list[str]:
        """The names of what is another than `before`."""
        given = [name for name in self.digests if self.digests[name] != before.digests.get(name)]
        names = sorted({*self.machine, *before.machine})
        pairs = [(name, before.machine.get(name, "none"), self.machine.get(name, "none")) for name in names]
        # What was kept may have been written by anybody.
        machine = [
            f"{printable(name, 40)} ({printable(old, 60)} → {printable(new, 60)})"
            for name, old, new in pairs
            if old != new
        ]
        return given + machine[:_MOST]


class Begin(BaseModel):
    """How an audit began: what its numbers depend on, and what it took from the moment and would not find again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rests_on: Grounds
    memory: NonNegativeInt
    """Bytes on the device that it could plan with."""


def what_numbers_rest_on(
    spec: AuditSpec, subject: Subject, environment: EnvironmentInfo, course: Course | None
) -> Grounds:
    """Each thing that the numbers depend on. Which checks run and how long they may is none of them."""
    told: dict[str, object] = {
        "checkpoint": subject.info.model_dump(mode="json"),
        "model": [spec.model.model_dump(mode="json"), _architecture(subject)],
        "data": [spec.data.model_dump(mode="json"), subject.data.model_dump(mode="json")],
        "batches": [batch.size for batch in subject.sample.batches],
        "loss": spec.loss.model_dump(mode="json"),
        "code": subject.code.sources(),
        "protocol": spec.protocol.model_dump(mode="json", exclude={"max_time"}),
        "budgets": spec.protocol.budget().model_dump(mode="json"),
        "training": course.key if course else None,
    }
    return Grounds(digests={name: _digest(each) for name, each in told.items()}, machine=_machine(environment))


def _machine(environment: EnvironmentInfo) -> dict[str, str]:
    import torch

    told = environment.model_dump(mode="json", exclude={"packages"}) | environment.packages
    told["instruction set"] = torch.backends.cpu.get_cpu_capability()
    return {name.replace("_", " "): str(value) for name, value in told.items()}


def _architecture(subject: Subject) -> str:
    """The model as it shows itself, without the addresses of this process; its parts' names where it cannot."""
    try:
        return re.sub(r"0x[0-9a-fA-F]+", "", str(subject.model))
    except Exception:  # noqa: BLE001 - the user's own code
        return str([(name, type(module).__qualname__) for name, module in subject.model.named_modules()])


def left_by_an_earlier_run(folder: Path, rests_on: Grounds, progress: Progress, *, resume: bool) -> Begin | None:
    """How the audit began that is to be gone on with; None where there is none, and then nothing of it is left."""
    home = folder / FOLDER
    if home.is_symlink() or (home.exists() and not home.is_dir()):
        raise OutputError(f"{home}: is in the way: it is no folder.", remedy="Remove it, or choose another --out.")
    there = kept_probes(folder)
    if resume:
        begin = _read(home / _BEGIN)
        if begin and begin.rests_on == rests_on:
            sweep(home, ("*",))
            progress.note(f"Going on with an interrupted audit: {count(there, 'probe')} of it in {home}.")
            return begin
        progress.note(f"{folder}: {_why_not(begin, rests_on, there)} The audit starts from the beginning.")
    elif there:
        progress.note(f"{folder}: {count(there, 'probe')} of an interrupted audit removed, as --resume was not given.")
    forget(folder)
    return None


def _why_not(begin: Begin | None, rests_on: Grounds, there: int) -> str:
    if begin is None:
        return "nothing to resume." if not there else "what was kept cannot be read."
    return f"what was kept is of another audit: {', '.join(rests_on.changed_from(begin.rests_on))} changed."


def keeping(folder: Path, rests_on: Grounds, memory: int, device: torch.device) -> Keeping:
    """Where the probes of this audit are kept from now on."""
    from landscape_audit.probes.keeping import Keeping

    begin = Begin(rests_on=rests_on, memory=memory)
    home = folder / FOLDER
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{home}: cannot be made: {error.strerror}.", remedy="Choose another --out.") from None
    write_atomically(home / _BEGIN, begin.model_dump_json().encode())
    return Keeping(home, rests_on.key(), device)


def kept_probes(folder: Path) -> int:
    """How many finished probes are kept there."""
    return sum(path.is_file() for path in (folder / FOLDER).glob("*.safetensors"))


def forget(folder: Path) -> None:
    """Remove what is kept of an audit: it is done, or another one begins."""
    home = folder / FOLDER
    if home.is_dir() and not home.is_symlink():
        sweep(home, ("*",))
        for path in (home / _BEGIN, *home.glob("*.safetensors")):
            with contextlib.suppress(OSError):
                path.unlink()
        with contextlib.suppress(OSError):
            home.rmdir()


def _read(path: Path) -> Begin | None:
    with contextlib.suppress(OSError, ValidationError):
        if path.is_file():
            return Begin.model_validate_json(path.read_bytes())
    return None


def _digest(told: object) -> str:
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
