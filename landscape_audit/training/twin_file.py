"""A twin as a checkpoint: the audited file's own names and dtypes, with the twin's numbers."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from landscape_audit import __version__
from landscape_audit.errors import OutputError
from landscape_audit.files import writable_folder, write_atomically
from landscape_audit.subject.checkpoint.checkpoint import Checkpoint, read_checkpoint
from landscape_audit.subject.model.adapter import SETTINGS
from landscape_audit.subject.subject import Subject

_MAKER = "landscape-audit "


@dataclass(frozen=True)
class TwinFile:
    """Where a twin goes, and the checkpoint whose names and dtypes it takes. Never that checkpoint itself."""

    path: Path
    checkpoint: Path
    settings: bytes | None = None
    """What `adapter_config.json` says beside an adapter, which cannot be loaded without it; None for a whole model."""

    @classmethod
    def at(cls, path: Path, checkpoint: Path, subject: Subject) -> Self:
        """The file, found to be in a writable folder, none of those that were audited, and able to hold the twin."""
        if path.is_dir():
            raise OutputError(f"{path}: is a folder.", remedy=f"Name a file in it:  {path / 'twin.safetensors'}")
        if path.suffix != ".safetensors":
            raise OutputError(f"{path}: a twin is saved as .safetensors.", remedy="Name it so.")
        audited = [checkpoint, *subject.sources]
        if any(path.exists() and file.exists() and path.samefile(file) for file in audited):
            raise OutputError(f"{path}: is the audited checkpoint.", remedy="Save the twin under another name.")
        writable_folder(path.parent)
        _check_replaceable(path)
        stored = read_checkpoint(checkpoint)
        _check_covered(stored.name, subject, set(subject.names.values()))
        settings = (stored.folder / SETTINGS).read_bytes() if _is_adapter(subject) else None
        _check_settings(path.parent / SETTINGS, settings)
        return cls(path, checkpoint, settings)

    def write(self, twin: Subject, described: str) -> None:
        """The twin, rounded to the dtypes of the checkpoint; tensors that are none of the model's go along as they are.

        Written whole or not at all, with what it is in the metadata.
        """
        stored = read_checkpoint(self.checkpoint)
        if stored.digest != twin.info.tensor_digest:
            raise OutputError(f"{self.checkpoint}: changed during the audit.", remedy="Audit it again.")
        metadata = {
            "format": "pt",
            "twin": described,
            "twin_of": f"{stored.name}, tensor digest {stored.digest}",
            "made_by": f"{_MAKER}{__version__}",
        }
        if self.settings is not None and not (self.path.parent / SETTINGS).exists():
            write_atomically(self.path.parent / SETTINGS, self.settings)
        write_atomically(self.path, save(self._tensors(twin, stored), metadata=metadata))

    def _tensors(self, twin: Subject, stored: Checkpoint) -> dict[str, Tensor]:
        values = _by_every_name(twin)
        return {
            name: values.get(twin.names[name], tensor).to("cpu", tensor.dtype, copy=True).contiguous()
            for name, tensor in stored.tensors.items()
        }


def _by_every_name(twin: Subject) -> Mapping[str, Tensor]:
    """The twin's tensors under all names that the module has for them: a tied one has several."""
    views = zip(twin.layout.names, twin.layout.views(twin.theta), strict=True)
    values = {**twin.fixed, **dict(views)}
    own = {id(tensor): name for name, tensor in _named(twin).items() if name in values}
    return {name: values[own[id(tensor)]] for name, tensor in _named(twin).items() if id(tensor) in own}


def _named(twin: Subject) -> dict[str, Tensor]:
    model = twin.model
    return {**dict(model.named_parameters(remove_duplicate=False)), **dict(model.named_buffers(remove_duplicate=False))}


def _check_replaceable(path: Path) -> None:
    """What is there already is an earlier twin, by its metadata, which training again gives back; or nothing is."""
    if not path.exists():
        return
    metadata: Mapping[str, str] = {}
    if path.is_file():
        with contextlib.suppress(SafetensorError, OSError), safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    if not ("twin_of" in metadata and metadata.get("made_by", "").startswith(_MAKER)):
        raise OutputError(
            f"{path}: is there already, and is no twin that this tool saved.",
            remedy="Remove it, or save the twin under another name.",
        )


def _is_adapter(subject: Subject) -> bool:
    """Whether the checkpoint lies over a base that it does not hold."""
    return subject.info.base_digest is not None


def _check_settings(path: Path, settings: bytes | None) -> None:
    """The settings of this adapter are there already, or nothing is."""
    if settings is not None and path.exists() and not (path.is_file() and path.read_bytes() == settings):
        raise OutputError(
            f"{path}: is that of another adapter, and the twin needs its own.",
            remedy="Save the twin in another folder.",
        )


def _check_covered(origin: str, subject: Subject, stored: set[str]) -> None:
    """Whatever is trained is in the file: PyTorch may have loaded it under an older name, which cannot be written."""
    named, state = _named(subject), subject.model.state_dict(keep_vars=True)
    if _is_adapter(subject):  # its file does not hold what lies under it
        state = {name: named[name] for name in subject.layout.names}
    there = {id(named[name]) for name in stored & named.keys()}
    lost = [name for name, tensor in state.items() if isinstance(tensor, Tensor) and id(tensor) not in there]
    if lost:
        raise OutputError(
            f"{origin}: has '{lost[0]}' under a name that the model itself does not use: no twin can be saved so.",
            remedy="Save the checkpoint anew from the model:  save_file(model.state_dict(), …)",
        )
