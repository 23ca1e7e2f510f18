"""A seal names the part that was changed, and is silent where none was."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from hostile_audit import an_audit_with_everything
from hypothesis import given, settings
from hypothesis import strategies as st
from results_factory import an_audit
from sealed_audit import a_sealed_audit

from landscape_audit.gates.judge import judged
from landscape_audit.policy import Policy
from landscape_audit.results import AuditResults
from landscape_audit.seal import broken, is_sealed, sealed


def document(results: AuditResults) -> dict:
    return json.loads(results.to_json())


@pytest.mark.parametrize("audit", [an_audit(), an_audit_with_everything(), an_audit(checks=(), partial="half")])
def test_what_nobody_touched_is_as_it_was_sealed(audit):
    kept = sealed(audit)
    assert is_sealed(document(kept))
    assert broken(document(kept)) == []
    assert broken(document(AuditResults.model_validate_json(kept.to_json()))) == []


def test_a_seal_does_not_depend_on_the_order_of_keys_or_the_white_space():
    text = json.dumps(document(sealed(an_audit())), sort_keys=True, indent=7)
    assert broken(json.loads(text)) == []


def test_audits_that_differ_in_their_run_differ_in_that_block_only():
    one = sealed(an_audit())
    other = sealed(an_audit(run=one.run.model_copy(update={"seconds": 1.0, "seal": None})))
    assert one.run.seal != other.run.seal
    assert one.model_copy(update={"run": other.run}) == other


def test_judging_anew_breaks_no_seal_but_takes_it_off():
    anew = judged(sealed(an_audit()), Policy(), dt.date(2026, 1, 1))
    assert not is_sealed(document(anew))


@pytest.mark.parametrize(
    ("path", "value", "place"),
    [
        (("data", "n_samples"), 451, "data"),
        (("data", "weight"), 450, "data"),
        (("checks", 4, "outcome", "estimates", "lambda_max", "high"), 99.0, "checks.sharpness"),
        (("checks", 0, "id"), "other", "checks"),
        (("run", "seconds"), 1.0, "run"),
        (("run", "seal"), None, "run"),
        (("seal",), None, "seal (removed)"),
        (("seal", "data"), "0" * 64, "data"),
        (("novelty",), 1, "novelty (added)"),
        (("limits",), [], "limits"),
    ],
)
def test_a_change_is_named_by_its_place(path, value, place):
    kept = document(sealed(an_audit()))
    inner = kept
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    assert is_sealed(kept)
    assert broken(kept)[0] == place


def test_a_check_that_is_taken_out_or_doubled_or_moved_is_missed():
    for change in (
        lambda checks: checks.pop(),
        lambda checks: checks.append(checks[0]),
        lambda checks: checks.reverse(),
    ):
        kept = document(sealed(an_audit()))
        change(kept["checks"])
        assert "checks" in broken(kept)


def leaves(tree, path=()):
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    if not inner:
        yield path
    for step, each in inner:
        yield from leaves(each, (*path, step))


def changed(value):
    if isinstance(value, bool) or value is None:
        return "x" if value is None else not value
    return value + 1 if isinstance(value, int | float) else value + "x" if isinstance(value, str) else [*value, 0]


def test_no_word_and_no_number_can_be_changed_unseen():
    kept = document(a_sealed_audit())
    places = [path for path in leaves(kept) if path[0] != "seal"]
    assert len(places) > 300
    for path in places:
        inner = kept
        for step in path[:-1]:
            inner = inner[step]
        before = inner[path[-1]]
        inner[path[-1]] = changed(before) if before != {} else {"x": 1}
        section = f"checks.{kept['checks'][path[1]]['id']}" if path[0] == "checks" else path[0]
        assert any(place.partition(" ")[0] == section for place in broken(kept)), path
        inner[path[-1]] = before
    assert broken(kept) == []


@settings(max_examples=60, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text() | st.integers(),
        lambda x: st.lists(x) | st.dictionaries(st.text(), x),
    )
)
def test_no_document_is_too_strange_to_be_held_against_its_seal(anything):
    for strange in ({"seal": anything}, {"seal": {"data": "0"}, "run": anything, "checks": anything, "data": anything}):
        assert broken(strange) or not is_sealed(strange)
