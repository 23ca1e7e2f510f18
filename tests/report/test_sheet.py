"""Page 1 of the paper holds the verdict, the worst gates, what changed, what to do and what was audited, always."""

from __future__ import annotations

import io
from dataclasses import replace

import pypdf
import pytest
from results_factory import an_audit, between

from landscape_audit.comparison.baseline import baseline_of
from landscape_audit.report.pdf import pdf
from landscape_audit.report.sheet import sheet_of, shortened, tiles_in_a_row
from landscape_audit.report.view import view
from landscape_audit.results import Difference, Failed, GateResult, InstrumentInfo, Verdict

LONG = "It was found where it should not have been, " * 13 + "and so on"
WIDE = "W" * 200


def a_gate(place, reason, why, key):
    return GateResult(
        key=key,
        level="error",
        status="fail",
        demand="at most 1",
        found=f"{place} (0 to 90)",
        reason=reason,
        why=why,
        limit_high=1.0,
        estimate=between(0.0, float(place), 90.0),
        consequence="error",
    )


def crowded(*, gates=60, banners=5, certain=40, obstacles=6, words=LONG, name="g" * 200, plain=False):
    """An audit of which more is to be told on page 1 than it holds."""
    failed = {check: Failed(error=f"{check}: {words}") for check in ("trace", "sharpness", "gradient")[: banners - 2]}
    audit = an_audit({} if plain else failed)
    subject = audit.subject.model_copy(
        update={
            "files": tuple(
                each.model_copy(update={"name": f"{place}{name}"})
                for place in range(40)
                for each in audit.subject.files
            )
        }
    )
    differences = tuple(Difference(key=f"protocol.{i}", here=words, there=words) for i in range(obstacles))
    changes = {
        "subject": audit.subject if plain else subject,
        "verdict": Verdict(word="ERROR", sentence=words, exit_code=5, failed=gates),
        "gates": tuple(a_gate(i, words, words, f"{name}.{i}") for i in range(gates)),
        "baseline": baseline_of(audit, audit).model_copy(update={"differences": differences}),
    }
    if banners > 1:
        changes |= {"partial": words, "instrument": InstrumentInfo(agrees=False, disagreements=(words,))}
    found = audit.model_copy(update=changes)
    seen = view(found)
    seen = replace(seen, baseline=replace(seen.baseline, certain=tuple(f"{words[:60]} {i}" for i in range(certain))))
    return replace(seen, sheet=sheet_of(seen)), found


CROWDS = {
    "everything": {},
    "words that cannot be broken": {"words": WIDE * 3, "name": WIDE},
    "one banner": {"banners": 1, "obstacles": 0},
    "few gates": {"gates": 2, "banners": 0},
    "short words": {"words": "Too high.", "name": "a", "banners": 1, "certain": 2, "obstacles": 0, "plain": True},
}


@pytest.mark.parametrize("crowd", CROWDS)
def test_what_was_audited_ends_page_1_however_much_there_is_to_tell(crowd):
    seen, found = crowded(**CROWDS[crowd])
    first = pypdf.PdfReader(io.BytesIO(pdf(seen, found))).pages[0].extract_text()
    told = ("ERROR", "Gates", "Changed for certain", "What to do next", "What was audited", "torch 2.13.0")
    assert [needed for needed in told if needed not in first] == []
    assert seen.sheet.gates


def test_what_is_cut_on_page_1_is_told_in_full_after_it():
    seen, _ = crowded()
    assert seen.sheet.verdict_elsewhere == (*seen.banners, seen.sentence)
    assert seen.sheet.gates_elsewhere == seen.gates


def test_the_worst_gates_stand_on_page_1_in_their_own_words_where_there_is_room():
    seen, _ = crowded(**CROWDS["short words"])
    shown = len(seen.sheet.gates)
    assert shown >= 3
    assert seen.sheet.gates == seen.gates[:shown]
    assert seen.sheet.gates_elsewhere == seen.gates[shown:]
    assert seen.sheet.verdict_elsewhere == ()


@pytest.mark.parametrize(
    ("text", "limit", "cut"),
    [("one two three", 13, "one two three"), ("one two three", 8, "one two…"), ("o" * 20, 8, "o" * 7 + "…")],
)
def test_text_is_cut_between_two_words(text, limit, cut):
    assert shortened(text, limit) == cut


@pytest.mark.parametrize("number", range(2, 13))
def test_no_tile_stands_alone_in_the_last_row(number):
    assert number % tiles_in_a_row(number) != 1
