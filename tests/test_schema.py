from __future__ import annotations

import json
import re
from typing import Any

import jsonschema
import pytest
from results_factory import an_audit

from landscape_audit.resources import schema_dir
from landscape_audit.schema import NAMES, schema_text, schemas

POLICY = {"gates": {"sharpness.lambda_max": {"at_most": 50, "why": "w"}}}


def validator(name: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json.loads(schema_text(name)))


@pytest.mark.parametrize("name", NAMES)
def test_a_committed_schema_is_the_models(name: str) -> None:
    committed = (schema_dir() / f"{name}.schema.json").read_text(encoding="utf-8")
    assert committed == schema_text(name), "landscape-audit schema --write schemas"


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_is_one_and_says_what_it_describes(name: str) -> None:
    schema = json.loads(schema_text(name))
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$id"].startswith(f"urn:landscape-audit:schema:{name}:")
    assert schema["title"]
    assert schema["description"]
    assert not re.search(r"\b(NaN|Infinity)\b", schema_text(name))


def test_the_three_files_have_the_names_of_the_schemas() -> None:
    assert sorted(path.name for path in schema_dir().glob("*.json")) == sorted(schemas())


def test_an_audit_is_valid() -> None:
    validator("results").validate(json.loads(an_audit().to_json()))


@pytest.mark.parametrize(
    ("value", "nonfinite", "valid"), [(1.0, None, True), (None, "nan", True), (None, None, False), (1.0, "nan", False)]
)
def test_a_number_is_there_or_a_word_says_why_not(value: float | None, nonfinite: str | None, *, valid: bool) -> None:
    audit: dict[str, Any] = json.loads(an_audit().to_json())
    loss = next(check for check in audit["checks"] if check["id"] == "loss")
    loss["outcome"]["estimates"]["value"].update(value=value, low=None, high=None, nonfinite=nonfinite)
    assert validator("results").is_valid(audit) is valid


def test_a_policy_is_valid_and_one_with_an_unknown_setting_is_not() -> None:
    assert validator("policy").is_valid(POLICY)
    assert not validator("policy").is_valid({**POLICY, "gate": {}})


def test_a_config_needs_a_model_and_data() -> None:
    config = {"model": {"factory": "m:f"}, "data": {"file": "d.npz"}, **POLICY}
    assert validator("config").is_valid(config)
    assert not validator("config").is_valid(POLICY)
