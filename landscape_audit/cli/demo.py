"""`landscape-audit demo`: a project to try everything on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write the project.")] = Path("demo"),
    seed: Annotated[int, typer.Option("--seed", help="Of the split and of the training.")] = 0,
) -> None:
    """Train a small network on real handwritten digits and write it as a project to audit.

    Writes `model.safetensors`, `model.py`, `data.py`, `digits.npz` and `audit.toml`: what a project of your own would
    have. Takes some seconds.

    **Example**

        landscape-audit demo

        landscape-audit run demo/model.safetensors
    """
    from landscape_audit.demo.train import write_project

    accuracy = write_project(folder, seed)
    typer.echo(
        f"{folder}/: a network that reads {100 * accuracy:.1f} % of unseen digits right, ready to audit:", err=True
    )
    typer.echo(f"  landscape-audit run {folder}/model.safetensors", err=True)
