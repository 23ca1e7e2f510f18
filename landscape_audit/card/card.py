"""A model card with an audit on it, and whether it is the audit that lies there."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from landscape_audit.card.block import find_block, with_block
from landscape_audit.card.entries import model_of
from landscape_audit.card.model_index import ModelIndex
from landscape_audit.card.place import Place, place_of
from landscape_audit.card.text import CardText, read_card, split
from landscape_audit.errors import CardError
from landscape_audit.files import write_atomically
from landscape_audit.report.provenance import digests_of
from landscape_audit.report.render import card as rendered
from landscape_audit.report.view import first_page
from landscape_audit.results import AuditResults, read_results
from landscape_audit.text import printable


@dataclass(frozen=True)
class Card:
    """A card as it is, as it should be, and what of it is not as it should be, a sentence each."""

    path: Path
    results: AuditResults
    before: str
    after: str
    stale: tuple[str, ...]

    def write(self) -> None:
        """Put it on the disk where that changes anything; a link stays a link, and permissions what they were."""
        there = _is_there(self.path)
        if self.before == self.after and there:
            return
        file = self.path.resolve()
        mode = stat.S_IMODE(file.stat().st_mode) if there else None
        write_atomically(file, self.after.encode())
        if mode is not None:
            file.chmod(mode)


def card_with(results_path: Path, path: Path) -> Card:
    """The card at `path` with the audit in `results_path` on it; nothing is written yet."""
    results, place = read_results(results_path), place_of(results_path, path)
    before = read_card(path) if _is_there(path) else ""
    card = split(before, path)
    with_text = with_block(card, _block(results, place, card.newline), path)
    index = ModelIndex(with_text, path)
    name = index.name or path.absolute().parent.name or "model"
    after = index.with_model(model_of(results, printable(name), place.report))
    return Card(path, results, before, after.whole(), _stale(path, card, after, place))


def recorded_results(path: Path) -> Path:
    """The results that the block on a card names, from the folder of the card."""
    block = find_block(split(read_card(path), path), path)
    if block is None or not (block.results and block.results.isprintable()):
        raise CardError(
            f"{path}: no audit is on it that names its results.",
            remedy=f"Put one there:  landscape-audit card results.json {path}",
        )
    return path.parent / block.results


def _block(results: AuditResults, place: Place, newline: str) -> str:
    version = results.environment.landscape_audit
    text = rendered(first_page(results), place=place, digests=digests_of(results), version=version)
    return text.rstrip("\n").replace("\n", newline)


def _stale(path: Path, card: CardText, after: CardText, place: Place) -> tuple[str, ...]:
    if not _is_there(path):
        return ("it is not there",)
    told = []
    block = find_block(card, path)
    if block is None:
        told.append("no audit is on it")
    elif block.sha256 != place.sha256:
        told.append(f"its block is of other results: SHA-256 {block.sha256[:12]}…, not {place.sha256[:12]}…")
    elif card.body != after.body:
        told.append("its block is not what is written for these results: it was changed, or files were moved")
    if card.yaml != after.yaml:
        told.append("the entries in its model-index are not those of these results")
    return tuple(told)


def _is_there(path: Path) -> bool:
    return os.path.exists(path)  # noqa: PTH110 - False, and no exception, also where it may not be looked at
