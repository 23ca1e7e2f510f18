"""Probes kept on disk as they finish, one file each, so that an audit that was cut short goes on where it was."""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from safetensors import safe_open

from landscape_audit.errors import OutputError
from landscape_audit.probes.encoding import Decoder, Encoder, UnsaveableError
from landscape_audit.probes.landscape import Footing
from landscape_audit.probes.probe import ProbeFailedError
from landscape_audit.probes.probe_file import is_whole, write_tensors
from landscape_audit.results import Cost
from landscape_audit.text import printable

if TYPE_CHECKING:
    import torch

    from landscape_audit.curvature.basis import Basis
    from landscape_audit.probes.bench import Bench
    from landscape_audit.probes.probe import Probe


@dataclass(frozen=True)
class Standing:
    """What of a bench outlasts a probe, but for what it found, cost and told."""

    distrusted: str
    runs_in_double: bool | None
    footing: Footing
    gradient_rounding: float


@dataclass(frozen=True)
class Kept:
    """What a probe found, what it had cost by then, what it told, and how it left the bench."""

    found: Any
    cost: Cost
    seconds: float
    notes: tuple[str, ...]
    standing: Standing


class Keeping:
    """The kept probes of one audit. `key` says of which audit they are; those of another are never used."""

    def __init__(self, folder: Path, key: str, device: torch.device) -> None:
        self.used = 0
        self._folder, self._key, self._device = folder, key, device
        self._bases: dict[str, Basis] = {}
        self._off = False

    def again(self, bench: Bench, probe: Probe[Any]) -> Kept | None:
        """What an earlier run kept of this probe with these budgets, the bench made as it was then; or None."""
        name = _name(bench, probe)
        try:
            kept = self._read(name)
        except FileNotFoundError:
            return None
        except Exception as error:  # noqa: BLE001 - a damaged file may lead anywhere; the probe is then taken anew
            what = printable(f"{type(error).__name__}: {error}")
            bench.tell_now(f"{probe.name} is measured anew: what was kept of it cannot be used ({what}).")
            return None
        bench.go_on_from(kept.standing, kept.notes)
        self.used += 1
        return kept

    def keep(self, bench: Bench, probe: Probe[Any], found: Any, notes: Sequence[str]) -> None:
        """Write down what a probe found; where that fails, tell it once and let the audit go on."""
        if self._off or isinstance(found, ProbeFailedError):
            return
        ledger = bench.ledgers[probe.name]
        name, encoder = _name(bench, probe), Encoder(self._bases)
        try:
            told = encoder.encode(Kept(found, ledger.cost, ledger.seconds, tuple(notes), bench.standing))
            write_tensors(self._path(name), {"key": self._key, "probe": json.dumps(told)}, encoder.tensors)
        except UnsaveableError as error:
            bench.tell_now(f"{probe.name} is not kept for --resume: it holds {printable(error)}.")
        except OutputError as error:
            self._off = True
            bench.tell_now(f"{error.what} The audit goes on; --resume would measure from {probe.name} on anew.")
        else:
            self._know(name, encoder.bases)

    def _read(self, name: str) -> Kept:
        path = self._path(name)
        if not stat.S_ISREG(path.lstat().st_mode):
            raise ValueError("not a file")
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
            if metadata["key"] != self._key:
                raise ValueError("of another audit")
            if not is_whole(path, metadata["digest"]):
                raise ValueError("damaged")
            decoder = Decoder(file, self._bases, self._device)
            kept = decoder.decode(json.loads(metadata["probe"]))
        if not isinstance(kept, Kept):
            raise TypeError("something else")
        self._know(name, decoder.bases)
        return kept

    def _know(self, name: str, bases: dict[str, Basis]) -> None:
        self._bases |= {f"{name}/{index}": basis for index, basis in bases.items()}

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.safetensors"


def _name(bench: Bench, probe: Probe[Any]) -> str:
    """A file name for the probe at the budgets of the moment: a gate may have made them larger."""
    budgets = hashlib.sha256(bench.budgets.model_dump_json().encode()).hexdigest()
    return f"{quote(probe.name, safe='')}-{budgets[:12]}"
