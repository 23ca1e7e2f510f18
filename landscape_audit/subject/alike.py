"""Whether two checkpoints are of one model and one sample, found out before either is measured."""

from __future__ import annotations

from pathlib import Path

import torch

from landscape_audit.curvature.layout import Layout
from landscape_audit.errors import CheckpointError, DataError
from landscape_audit.spec import AuditSpec
from landscape_audit.subject.loading import load_subject
from landscape_audit.text import listed


def require_alike(spec: AuditSpec, checkpoint: Path, other: Path, base: Path, device: torch.device) -> None:
    """An error that says what differs where directions at the one mean nothing at the other.

    Both are loaded, one after the other, at what that costs: a forward pass over the sample and a gradient each.
    """
    layout, sample = _loaded(spec, checkpoint, base, device)
    theirs, again = _loaded(spec, other, base, device)
    mine, there = ({block.name: block.shape for block in each.blocks} for each in (layout, theirs))
    if mine != there:
        differing = [name for name in sorted({*mine, *there}) if mine.get(name) != there.get(name)]
        first = differing[0]
        raise CheckpointError(
            f"{other}: is of another model than {checkpoint}: {listed(differing)}.",
            details=[f"'{first}' has shape {there.get(first, 'none')}, and {mine.get(first, 'none')} there."],
            remedy="Audit each by itself, and hold them together with  landscape-audit compare.",
        )
    if sample != again:
        raise DataError(
            f"{spec.data.loader or spec.data.file}: gave other examples for {other} than for {checkpoint}.",
            remedy="Let it give the same ones each time: no random draw without a seed of its own.",
        )


def _loaded(spec: AuditSpec, checkpoint: Path, base: Path, device: torch.device) -> tuple[Layout, str]:
    subject = load_subject(spec, checkpoint, base, device)
    return subject.layout, f"{subject.data.fingerprint} {subject.data.batches}"
