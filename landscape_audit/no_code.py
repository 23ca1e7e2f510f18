"""Which settings of an audit import the user's code; `--no-code` refuses them before anything is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from landscape_audit.errors import UsageError
from landscape_audit.spec import AuditSpec

_NAMED = ("timm", "torchvision")
"""Libraries whose architectures have names; transformers takes its from the `config.json` beside the checkpoint."""


def is_declared(factory: str) -> bool:
    """Whether a model is named by a library's own word for it, so that no code of the user's is run."""
    source, colon, _ = factory.partition(":")
    return factory == "transformers" or (bool(colon) and source in _NAMED)


def refuse_code(spec: AuditSpec) -> None:
    """An error that names the first setting of `spec` that would import code."""
    for setting, found, remedy in _code_in(spec):
        raise UsageError(f"--no-code: {setting} = '{found}' would import code.", remedy=remedy)


def _code_in(spec: AuditSpec) -> Iterator[tuple[str, str, str]]:
    if not is_declared(spec.model.factory):
        yield "[model] factory", spec.model.factory, "Declare it: 'transformers', 'timm:NAME' or 'torchvision:NAME'."
    if spec.data.loader is not None:
        yield "[data] loader", spec.data.loader, 'Give a file that runs none:  [data] file = "val.safetensors"'
    if ":" in spec.loss.name:
        yield "[loss] name", spec.loss.name, "Choose a loss that is built in."
    train = spec.checks.sam.train
    if spec.checks.sam.enabled and Path(train).suffix not in {".safetensors", ".npz"}:
        yield "[checks.sam] train", train, "Give a .safetensors or .npz, or leave the check 'sam' off."
