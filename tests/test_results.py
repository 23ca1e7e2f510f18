from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hostile_audit import an_audit_with_everything
from pydantic import ValidationError
from results_factory import an_audit

from landscape_audit.errors import ResultsError
from landscape_audit.estimate import Estimate, spread
from landscape_audit.results import read_results


def stored(folder: Path, **changes: Any) -> Path:
    path = folder / "results.json"
    path.write_text(json.dumps({**json.loads(an_audit().to_json()), **changes}), encoding="utf-8")
    return path


def test_results_come_back_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(an_audit().to_json(), encoding="utf-8")
    assert read_results(path) == an_audit()


def test_a_newer_minor_version_is_read_without_its_new_fields(tmp_path: Path) -> None:
    assert read_results(stored(tmp_path, schema_version="1.9", novelty={"a": 1})).checks == an_audit().checks


@pytest.mark.parametrize("changes", [{}, {"subject": {"renamed": 1}}])
def test_another_major_version_is_named_whatever_its_fields_are(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(ResultsError, match=r"results of schema version 2\.0; this release reads"):
        read_results(stored(tmp_path, schema_version="2.0", **changes))


def test_a_key_that_is_there_twice_makes_results_nobodys_word(tmp_path: Path) -> None:
    path, text = tmp_path / "results.json", an_audit().to_json()
    for twice, told in (('"verdict": {}, "checks"', ""), ('"novelty": 1, "novelty": 2, "checks"', "'novelty' twice")):
        path.write_text(text.replace('"checks"', twice, 1), encoding="utf-8")
        with pytest.raises(ResultsError, match=f"not the results of an audit: .*{told}"):
            read_results(path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema_version": 1}', '{"verdict": NaN}', "PK\x03\x04"])
def test_what_is_no_audit_is_said_to_be_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "results.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ResultsError, match="not the results of an audit"):
        read_results(path)


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("line", {"series": [{"name": "s", "x": [0, 1], "y": [0]}]}),
        ("line", {"series": [{"name": "s", "x": [0, 1], "y": [0, 1], "low": [0]}]}),
        ("surface", {"z": [[1, 2, 3]]}),
        ("surface", {"z": [[1, 2, 3], [1, 2], [1]]}),
        ("spectrum", {"density": [1.0]}),
        ("table", {"rows": [["a"]]}),
    ],
)
def test_arrays_of_a_figure_that_do_not_belong_together_are_no_audits(tmp_path, kind, changes) -> None:
    tree = json.loads(an_audit_with_everything().to_json())
    detail = next(each for each in tree["checks"][0]["outcome"]["details"] if each["kind"] == kind)
    detail.update(changes)
    with pytest.raises(ResultsError, match=rf"as many entries as each other \(at checks\.0\..*\.{kind}"):
        read_results(stored(tmp_path, checks=tree["checks"]))


def test_bytes_that_are_no_text_and_files_that_are_not_there_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "binary.json", tmp_path / "absent.json", tmp_path):
        with pytest.raises(ResultsError, match="cannot be read"):
            read_results(path)


def test_independent_uncertainties_are_added_and_one_open_side_leaves_the_whole_side_open() -> None:
    half = Estimate.within(2.0, (spread("residual", 2.0, 0.5), spread("sampling", 2.0, 0.25)))
    assert (half.low, half.high) == (1.25, 2.75)
    wide = Estimate.within(2.0, (spread("residual", 2.0, 0.5), spread("sampling", 2.0, float("inf"))))
    assert (wide.low, wide.high) == (None, None)


@pytest.mark.parametrize("bounds", [{"low": 3.0, "high": 4.0}, {"low": 0.0, "high": 1.0}])
def test_an_interval_that_misses_its_value_is_refused(bounds: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match="out of order"):
        Estimate(value=2.0, **bounds)


@pytest.mark.parametrize("when", ["", "soon", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"])
def test_an_end_that_is_no_time_or_no_day_of_utc_is_said_to_be_none(when: str) -> None:
    audit = an_audit()
    odd = audit.model_copy(update={"run": audit.run.model_copy(update={"finished": when})})
    with pytest.raises(ResultsError, match=r"run\.finished is .*, which is no time"):
        odd.finished()
