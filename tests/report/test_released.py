"""Results of every released schema version, and of one that is still to come: read, judged again and shown.

A file in tests/released is what a release wrote, frozen. A new schema version adds its own and changes none.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest

from landscape_audit.errors import ResultsError
from landscape_audit.gates.judge import day_of, judged
from landscape_audit.report.write import rendered
from landscape_audit.results import SCHEMA_VERSION, parsed_results, read_results
from landscape_audit.schema import schema_text
from landscape_audit.seal import broken

FOLDER = Path(__file__).parents[1] / "released"
RELEASED = sorted(FOLDER.glob("*.json"))
NEWEST = FOLDER / f"{SCHEMA_VERSION}.json"


def test_the_schema_version_of_this_release_has_a_file_and_each_file_is_of_the_version_that_it_is_named_after():
    assert NEWEST in RELEASED
    for path in RELEASED:
        document = json.loads(path.read_text())
        assert document["schema_version"] == path.stem
        assert broken(document) == [], f"{path.name} was edited: what is released stays as it is"


@pytest.mark.parametrize("path", RELEASED, ids=lambda path: path.stem)
def test_results_of_a_released_version_are_judged_as_they_were_and_show_all_they_have(path):
    results = read_results(path)
    again = judged(results, results.policy, day_of(results))
    assert [(gate.key, gate.shown_as, gate.consequence) for gate in again.gates] == [
        (gate.key, gate.shown_as, gate.consequence) for gate in results.gates
    ]
    assert (again.verdict.word, again.verdict.exit_code) == (results.verdict.word, results.verdict.exit_code)
    pages = {kind: content.decode() for kind, content in rendered(results, pdf=False).items()}
    for check in results.checks:
        assert f'id="{check.id}"' in pages["html"]
    for gate in results.gates:
        assert gate.key in pages["html"]
        assert gate.key in re.sub(r"\\", "", pages["md"])
    assert "newer release" not in pages["html"]


def test_results_of_the_newest_version_make_a_pdf():
    results = read_results(NEWEST)
    assert rendered(results, pdf=True)["pdf"].startswith(b"%PDF-1.7")


def changed(**changes: object) -> str:
    """The newest released file with some of its top changed, and what a later release might add in four places."""
    document = json.loads(NEWEST.read_text()) | changes
    document["novelty"] = {"deep": [1, {"a": None}]}
    document["checks"][0] |= {"colour": "green"}
    document["checks"][0]["outcome"]["details"] = [{"kind": "hologram", "name": "beam", "rays": [1, 2.5, None]}]
    strange = {"id": "strangeness", "title": "Strangeness", "question": "How strange is it?"}
    document["checks"].append(document["checks"][1] | strange)
    return json.dumps(document)


def test_results_of_a_later_minor_version_show_what_is_known_and_say_what_is_left_out():
    results = parsed_results(changed(schema_version="1.99"), "results.json")
    pages = {kind: content.decode() for kind, content in rendered(results, pdf=False).items()}
    for page in pages.values():
        assert re.search(r"A newer release wrote these results, in schema version 1\\?\.99", page)
    assert "left out here, of a kind that only a newer release can show: &#39;hologram&#39;." in pages["html"]
    assert "How strange is it?" in pages["html"]
    assert "Curvature by layer" in pages["html"]


def test_a_detail_of_a_kind_that_is_not_known_is_stored_again_as_it_was():
    results = parsed_results(changed(schema_version="1.99"), "results.json")
    stored = json.loads(results.to_json())["checks"][0]["outcome"]["details"]
    assert stored == [{"kind": "hologram", "name": "beam", "rays": [1, 2.5, None]}]


@pytest.mark.parametrize(
    "broken_one", [{"kind": "line", "name": "curve"}, {"name": "curve"}, {"kind": 3}, "line", None]
)
def test_a_broken_detail_of_a_known_kind_or_of_none_is_no_later_kind(broken_one):
    document = json.loads(changed(schema_version="1.99"))
    document["checks"][0]["outcome"]["details"] = [broken_one]
    with pytest.raises(ResultsError, match="not the results of an audit"):
        parsed_results(json.dumps(document), "results.json")


@pytest.mark.parametrize("text", [NEWEST.read_text(), changed(schema_version="1.99")], ids=["newest", "later"])
def test_results_of_this_and_of_a_later_minor_version_are_valid_by_the_published_schema(text):
    jsonschema.validate(json.loads(text), json.loads(schema_text("results")))


def test_a_later_major_version_is_named_and_not_read():
    with pytest.raises(ResultsError, match=rf"schema version 2\.0; this release reads {SCHEMA_VERSION}"):
        parsed_results(changed(schema_version="2.0"), "results.json")


@pytest.mark.parametrize("version", ["1", "1.", "1.x", "1.٣", "1." + "0" * 5000])
def test_a_version_that_is_no_number_is_not_taken_for_a_later_one(version):
    assert not parsed_results(changed(schema_version=version), "results.json").is_newer()
