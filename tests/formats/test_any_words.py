"""Whatever a stranger's words are, every format can be read by its own parser, and says no less and no more."""

from __future__ import annotations

import json
import unicodedata

from hostile_audit import HOSTILE
from hypothesis import example, given, settings
from hypothesis import strategies as st
from junitparser import JUnitXml
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from results_factory import a_check, an_estimate
from verdicts import a_hostile_verdict

from landscape_audit.formats import FORMATS
from landscape_audit.results import Measured

OF_THE_RESULTS = {"in-toto", "cyclonedx"}
"""What says the results over in full, for programs that sign and list; nobody reads these as they are."""


@given(st.text(st.characters(), max_size=40))
@example(HOSTILE)
@example("w" * 100_000)
@example("\ud800]]>&\x00\r\n::error::x##[y]\u2028\x85\ufffe")
@settings(max_examples=40, deadline=None)
def test_every_format_can_be_read_and_has_every_finding(text):
    results = a_hostile_verdict(text)
    named = a_check("loss", Measured(estimates={text: an_estimate(1.0)}))
    results = results.model_copy(update={"checks": (*results.checks, named)})
    written = {name: each.text(results) for name, each in FORMATS.items() if name not in OF_THE_RESULTS}
    (suite,) = JUnitXml.fromstring(written["junit"].encode())
    assert (len(list(suite)), suite.failures, suite.errors, suite.skipped) == (7, 1, 4, 1)
    assert len(json.loads(written["sarif"])["runs"][0]["results"]) == 6
    assert len(json.loads(written["gitlab"])) == 6
    assert [line.split(" ")[0] for line in written["github"].splitlines()] == ["::error"] * 5 + ["::notice"]
    assert list(text_string_to_metric_families(written["openmetrics"]))
    characters = {*"".join(written.values())} - {"\n"}
    assert not [each for each in characters if unicodedata.category(each).startswith(("C", "Zl", "Zp"))]
    assert max(map(len, written.values())) < 100_000
