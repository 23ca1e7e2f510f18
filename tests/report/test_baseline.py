"""What changed since the baseline, where people look first."""

from __future__ import annotations

import re

from results_factory import an_audit, an_estimate

from landscape_audit.cli.summary import summary
from landscape_audit.comparison.baseline import baseline_of
from landscape_audit.estimate import Label
from landscape_audit.report.render import html, markdown
from landscape_audit.report.view import view
from landscape_audit.results import Measured


def compared(**changes):
    sharp = Measured(estimates={"lambda_max": an_estimate(62.0, 1.0, unit="u", direction="lower", n=450)})
    there = an_audit(
        {"sharpness": sharp, "stationarity": Measured(labels={"class": Label(value="saddle", reason="r")})}
    )
    there = there.model_copy(update=changes)
    return an_audit().model_copy(update={"baseline": baseline_of(an_audit(), there)})


def test_the_first_page_tells_what_changed_between_the_verdict_and_the_pictures():
    page = html(view(compared()))
    block = page[page.index('<section id="baseline">') : page.index("</section>", page.index('id="baseline"'))]
    first = page[page.index('id="numbers"') : page.index('class="tiles')]
    verdict = page[page.index('<section id="verdict"') : page.index("</section>")]
    assert "Compared with model.safetensors, audited on 2026-03-02. 1 of " in verdict
    assert "Changed for certain: the largest Hessian eigenvalue −49.6 % (−53 % to −46.1 %), lower." in first
    assert re.search(r"largest Hessian eigenvalue.*62 .*31\.24 .*−49\.6\s%.*lower", block, re.DOTALL)
    assert re.search(r"saddle.*approximate minimum", block, re.DOTALL)
    assert page.index('id="numbers"') < page.index('id="baseline"') < page.index("</main>")


def test_without_a_baseline_nothing_is_said_of_one():
    assert 'id="baseline"' not in html(view(an_audit()))
    assert "baseline" not in markdown(view(an_audit())).lower()
    assert "Compared with" not in summary(an_audit())


def test_the_summaries_tell_what_changed_for_certain():
    assert "lower" in markdown(view(compared()))
    lines = summary(compared()).splitlines()
    told = lines.index(next(line for line in lines if line.startswith("Compared with")))
    found = " ".join(lines[told + 1].split())
    assert found == "sharpness.lambda_max −49.6 % (−53 % to −46.1 %): lower"
    assert "loss.value" not in "".join(lines[told:])


def test_what_cannot_be_compared_is_told_with_its_keys_everywhere():
    other = an_audit().data.model_copy(update={"fingerprint": "1" * 64})
    found = compared(data=other)
    for text in (html(view(found)), markdown(view(found)).replace("\\", ""), summary(found)):
        assert "data.fingerprint: 1111" in text
        assert "Nothing can be compared." in text
        assert "None of the headline numbers can be compared." in text
        assert "for certain" not in text
        assert "49.6" not in text


def test_the_first_page_tells_five_changes_the_worst_first_and_how_many_more():
    better, worse = an_estimate(1.0, 0.1, direction="lower"), an_estimate(9.0, 0.1, direction="lower")
    keys = ("loss", "gradient", "sharpness", "trace", "flatness", "negative_curvature")
    names = ("value", "norm", "lambda_max", "trace", "worst_case", "lambda_min")
    audits = [
        an_audit({key: Measured(estimates={name: each}) for key, name, each in zip(keys, names, values, strict=True)})
        for values in ([worse] + [better] * 5, [better] + [worse] * 5)
    ]
    told = view(audits[0].model_copy(update={"baseline": baseline_of(*audits)})).baseline
    assert len(told.certain) == 6
    assert told.certain[0].startswith("the loss")
    assert told.in_short.count("; ") == 5
    assert told.in_short.endswith("; and 1 more under Since the baseline.")
    told = view(audits[1].model_copy(update={"baseline": baseline_of(*audits[::-1])})).baseline
    assert told.certain[-1].startswith("the loss")
