"""The published JSON Schemas, made from the models that read and write the files."""

from __future__ import annotations

import json

from pydantic import BaseModel

from landscape_audit.calibration.record import Calibration
from landscape_audit.policy import Policy
from landscape_audit.results import SCHEMA_VERSION, AuditResults
from landscape_audit.spec import AuditSpec

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_MODELS: dict[str, tuple[type[BaseModel], str]] = {
    "results": (AuditResults, "results.json: what an audit found"),
    "config": (AuditSpec, "audit.toml: what to audit and how"),
    "policy": (Policy, "policy.toml: what is demanded of an audit"),
    "calibration": (Calibration, "calibration.json: how much the numbers of an audit vary"),
}
NAMES = tuple(_MODELS)


def schemas() -> dict[str, str]:
    """The text of each schema by the name of its file. Fields with a default may be absent."""
    return {f"{name}.schema.json": schema_text(name) for name in NAMES}


def schema_text(name: str) -> str:
    """One schema as JSON, the same for equal models."""
    model, title = _MODELS[name]
    schema = {
        **model.model_json_schema(),
        "$schema": _DIALECT,
        "$id": f"urn:landscape-audit:schema:{name}:{SCHEMA_VERSION}",
        "title": title,
    }
    return json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
