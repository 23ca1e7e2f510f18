"""What the numbers do not say is told exactly where it holds, in words that have a version."""

from __future__ import annotations

import pytest
from pydantic import ValidationError
from results_factory import a_check, an_audit

from landscape_audit.limits import CONDITIONS, Limits, known_limit, limits, limits_of
from landscape_audit.report.render import html
from landscape_audit.report.view import view
from landscape_audit.results import Failed, TensorGroup

BARE = an_audit(checks=(a_check("loss"),))
BARE = BARE.model_copy(update={"protocol": BARE.protocol.model_copy(update={"dtype": "float64"})})


def with_(part, **changes):
    return BARE.model_copy(update={part: getattr(BARE, part).model_copy(update=changes)})


def measured(check):
    return BARE.model_copy(update={"checks": (*BARE.checks, a_check(check))})


HALF = (TensorGroup(dtype="bfloat16", tensors=8, elements=11_818),)
RUNS = {
    ("quality", "parametrisation"): measured("trace"),
    ("surface",): measured("surface"),
    ("rounding_weights",): measured("quantisation"),
    ("quality", "parametrisation", "twins"): measured("sam"),
    ("part",): with_("data", draw="stratified", draw_seed=0),
    ("first",): with_("data", draw="first"),
    ("quick",): with_("protocol", preset="quick"),
    ("float32",): with_("protocol", dtype="float32"),
    ("low_precision",): with_("subject", tensor_groups=HALF),
    ("frozen",): with_("subject", frozen_parameters=7),
    ("adapter",): with_("subject", base_digest="ab" * 32),
    ("chosen",): with_("subject", parameter_globs=("head.*",)),
    ("own_loss",): with_("data", loss_code="ab" * 32),
    ("left_out",): BARE.model_copy(update={"skipped": ("sam",)}),
    ("partial",): BARE.model_copy(update={"partial": "interrupted"}),
}


def ids(results):
    return {limit.id for sentence in limits_of(results) if (limit := known_limit(sentence))}


@pytest.mark.parametrize("told", RUNS, ids=" ".join)
def test_a_limit_is_told_where_its_condition_holds_and_nowhere_else(told):
    assert ids(BARE) == {"sample"}
    assert ids(RUNS[told]) == {"sample", *told}


def test_every_limit_is_told_of_some_run_and_every_condition_is_some_limits():
    assert {"sample"}.union(*RUNS) == {each.id for each in limits() if not each.retired}
    assert {each.when for each in limits()} == set(CONDITIONS)


def test_a_check_that_failed_brings_no_limit_of_its_own():
    failed = BARE.model_copy(update={"checks": (a_check("surface", Failed(error="no memory")),)})
    assert ids(failed) == {"sample"}


def test_a_report_names_each_limit_it_knows_and_keeps_one_that_it_does_not():
    old = BARE.model_copy(update={"limits": (*limits_of(BARE), "A sentence of another release.")})
    page = html(view(old))
    assert "<code>sample</code>, version 1" in page
    assert "A sentence of another release." in page


def test_two_limits_of_one_id_and_a_condition_that_is_none_are_refused():
    one = limits()[0].model_dump()
    for wrong in ([one, one], [one | {"when": "sometimes"}]):
        with pytest.raises(ValidationError):
            Limits.model_validate({"limit": wrong})
