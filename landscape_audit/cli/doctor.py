"""`landscape-audit doctor`: would an audit start here?"""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from landscape_audit import __version__
from landscape_audit.cli import options
from landscape_audit.cli.caches import caches_apart
from landscape_audit.errors import AuditError
from landscape_audit.spec import CONFIG_NAME
from landscape_audit.text import printable


def doctor(
    checkpoint: options.Checkpoint = None,
    config: options.Config = None,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:1.")] = "auto",
) -> None:
    """Check this machine, and with a checkpoint or audit.toml also the model, the data and the loss.

    Nothing expensive: one forward pass over the sample. The exit code is that of the first thing that is wrong.

    **Examples**

        landscape-audit doctor

        landscape-audit doctor model.safetensors
    """
    probes: list[tuple[str, Callable[[], str]]] = [
        ("versions", _versions),
        ("device", lambda: _device(device)),
        ("PDF", _pango),
        ("fonts", _fonts),
    ]
    if checkpoint or config or Path(CONFIG_NAME).is_file():
        probes.append(("audit", lambda: _audit(checkpoint, config, device)))
    codes = [_tick(name, probe) for name, probe in probes]
    raise typer.Exit(next((code for code in codes if code), 0))


def _tick(name: str, probe: Callable[[], str]) -> int:
    try:
        typer.echo(f"✓ {name:9} {printable(probe(), limit=400)}")
    except AuditError as error:
        typer.echo(f"✗ {name:9} {error}")
        return error.exit_code
    return 0


def _versions() -> str:
    names = ("torch", "numpy", "safetensors", "pydantic", "weasyprint", "matplotlib")
    found = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)
    return f"landscape-audit {__version__}, Python {platform.python_version()}, {found}"


def _device(name: str) -> str:
    import torch

    from landscape_audit.machine import device_of
    from landscape_audit.spec import ProtocolSpec

    device = device_of(ProtocolSpec(device=name))
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        return f"{torch.cuda.get_device_name(device)}, {free / 2**30:.0f} of {total / 2**30:.0f} GiB free"
    return f"cpu, {torch.get_num_threads()} threads"


def _pango() -> str:
    from landscape_audit.report.pdf import require_pango

    require_pango()
    return "WeasyPrint finds Pango"


def _fonts() -> str:
    from landscape_audit.report.pdf import fonts

    with caches_apart():
        return ", ".join(sorted(path.stem for path in fonts()))


def _audit(checkpoint: Path | None, config: Path | None, device: str) -> str:
    asked = options.request(checkpoint, config, {})
    from landscape_audit.machine import device_of
    from landscape_audit.spec import ProtocolSpec
    from landscape_audit.subject.loading import load_subject

    subject = load_subject(asked.spec, asked.checkpoint, asked.base, device_of(ProtocolSpec(device=device)))
    told = " ".join(subject.adjustments)
    return (
        f"{asked.checkpoint.name}: {subject.info.parameters:,} parameters fit {subject.info.model}; "
        f"{subject.data.n_samples:,} examples from {subject.data.source}; {subject.data.loss} is finite. {told}"
    )
