"""The bill of materials is valid by its own library's validator, and has every number with its interval."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hostile_audit import an_audit_with_everything
from results_factory import SHA256, an_audit
from sealed_audit import a_sealed_audit, several_audits

from landscape_audit.estimate import Estimate
from landscape_audit.formats.bom import bom
from landscape_audit.results import FileRecord, Measured

SHARDS = tuple(FileRecord(name=f"m-{i}.safetensors", sha256=SHA256, size_bytes=i) for i in range(3))


def of_shards():
    audit = an_audit()
    return audit.model_copy(update={"subject": audit.subject.model_copy(update={"files": SHARDS})})


@pytest.mark.parametrize(
    "results", [*several_audits(), an_audit_with_everything(), of_shards()], ids=lambda results: results.verdict.word
)
def test_a_bill_is_valid_cyclonedx(results):
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(bom(results)) is None


def component(results):
    (found,) = json.loads(bom(results))["components"]
    assert found["type"] == "machine-learning-model"
    return found


def test_every_estimate_is_a_metric_with_its_interval_unrounded():
    results = a_sealed_audit()
    metrics = {
        each["type"]: each for each in component(results)["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    }
    assert metrics.keys() == results.estimates().keys()
    for key, estimate in results.estimates().items():
        ends = metrics[key].get("confidenceInterval", {})
        assert float(metrics[key]["value"]) == estimate.value
        assert {side: float(end) for side, end in ends.items()} == {
            side: end for side, end in (("lowerBound", estimate.low), ("upperBound", estimate.high)) if end is not None
        }


def test_a_number_that_is_not_finite_has_its_word_and_no_interval():
    results = an_audit({"loss": Measured(estimates={"value": Estimate.exact(float("inf"))})})
    metrics = component(results)["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    loss = next(each for each in metrics if each["type"] == "loss.value")
    assert loss["value"] == "inf"
    assert "confidenceInterval" not in loss


def test_hashes_are_those_of_the_checkpoint_or_of_its_shards():
    assert component(an_audit())["hashes"] == [{"alg": "SHA-256", "content": SHA256}]
    sharded = component(of_shards())
    assert "hashes" not in sharded
    assert [each["hashes"][0]["content"] for each in sharded["components"]] == [SHA256] * 3


def test_the_verdict_and_each_demand_are_properties():
    results = a_sealed_audit()
    found = [(each["name"], each["value"]) for each in component(results)["properties"]]
    assert ("landscape-audit:verdict", results.verdict.word) in found
    assert len([name for name, _ in found if ":gate:" in name]) == len(results.gates)


def test_equal_results_have_equal_bills_in_two_processes(tmp_path):
    results = a_sealed_audit()
    (tmp_path / "results.json").write_text(results.to_json(), encoding="utf-8")
    code = (
        "import sys, pathlib\n"
        "from landscape_audit.formats import FORMATS\n"
        "from landscape_audit.results import read_results\n"
        f"results = read_results(pathlib.Path({str(tmp_path / 'results.json')!r}))\n"
        "sys.stdout.write(FORMATS['cyclonedx'].text(results))\n"
        "FORMATS['in-toto'].text(results)\n"
        "assert not {'torch', 'numpy', 'matplotlib'} & sys.modules.keys()\n"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout
    assert printed == bom(results)
