"""A CycloneDX bill of materials: the checkpoint as a machine-learning model, with a model card of what was measured.

Source: CycloneDX 1.6, components of type machine-learning-model and their modelCard.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from landscape_audit.estimate import Estimate
from landscape_audit.results import AuditResults

_OURS = "landscape-audit:"
_NAMESPACE = uuid.UUID("5f3b3f0e-2f0a-5b7e-9d51-6d1f6f0c7a55")
"""Of our own: the same audit has the same serial number wherever its bill is written."""


def bom(results: AuditResults) -> str:
    """The bill as JSON, the same for equal results.

    The library makes all of it but the model card, which it does not know yet.
    """
    told = json.loads(_without_card(results))
    told["components"][0]["modelCard"] = _card(results)
    return json.dumps(told, indent=1) + "\n"


def _without_card(results: AuditResults) -> str:
    from cyclonedx.model import Property
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output.json import JsonV1Dot6

    model = Component(
        name=results.subject.name,
        type=ComponentType.MACHINE_LEARNING_MODEL,
        bom_ref="model",
        version=results.subject.tensor_digest[:12],
        hashes=_hashes(results),
        components=_files(results),
        properties=[Property(name=f"{_OURS}{name}", value=value) for name, value in _outcome(results)],
    )
    bill = Bom(components=[model], serial_number=uuid.uuid5(_NAMESPACE, results.to_json()))
    bill.metadata.timestamp = results.finished()
    bill.metadata.tools.components.add(
        Component(name="landscape-audit", version=results.environment.landscape_audit, type=ComponentType.APPLICATION)
    )
    return JsonV1Dot6(bill).output_as_string()


def _hashes(results: AuditResults) -> list[Any]:
    """Of the one file; those of several are at their own names."""
    from cyclonedx.model import HashAlgorithm, HashType

    files = results.subject.files
    return [HashType(alg=HashAlgorithm.SHA_256, content=file.sha256) for file in files if len(files) == 1]


def _files(results: AuditResults) -> list[Any]:
    """The index and the shards of a checkpoint of several files."""
    from cyclonedx.model import HashAlgorithm, HashType
    from cyclonedx.model.component import Component, ComponentType

    files = results.subject.files if len(results.subject.files) > 1 else ()
    return [
        Component(
            name=file.name,
            type=ComponentType.FILE,
            bom_ref=f"file-{number}",
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=file.sha256)],
        )
        for number, file in enumerate(files)
    ]


def _outcome(results: AuditResults) -> Iterator[tuple[str, str]]:
    """The verdict, each gate and each label, as properties of our own."""
    verdict = results.verdict
    yield "verdict", verdict.word
    yield "exit_code", str(verdict.exit_code)
    yield "sentence", verdict.sentence
    yield "tensor_digest", results.subject.tensor_digest
    yield "parameters", str(results.subject.parameters)
    yield from ((f"gate:{gate.key}", f"{gate.status}: {gate.found}; {gate.demand}") for gate in results.gates)
    yield from ((f"label:{key}", label.value) for key, label in results.labels().items())


def _card(results: AuditResults) -> dict[str, Any]:
    data = results.data
    estimates = results.estimates()
    sample = {"fingerprint": data.fingerprint, "n_samples": str(data.n_samples)}
    units = {f"unit:{key}": estimate.unit for key, estimate in estimates.items() if estimate.unit}
    return {
        "modelParameters": {
            "modelArchitecture": results.subject.model,
            "datasets": [{"type": "dataset", "name": data.source, "contents": {"properties": _properties(sample)}}],
        },
        "quantitativeAnalysis": {"performanceMetrics": [_metric(results, key, estimates[key]) for key in estimates]},
        "considerations": {"technicalLimitations": list(results.limits)},
        "properties": _properties(units),
    }


def _properties(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": f"{_OURS}{name}", "value": value} for name, value in values.items()]


def _metric(results: AuditResults, key: str, estimate: Estimate) -> dict[str, Any]:
    """One number, unrounded; a bound that is not there is not known."""
    ends = {"lowerBound": estimate.low, "upperBound": estimate.high}
    told = {
        "type": key,
        "value": str(estimate.nonfinite if estimate.value is None else estimate.value),
        "slice": f"{results.data.source}, {results.data.n_samples} examples",
    }
    interval = {side: str(end) for side, end in ends.items() if end is not None}
    return {**told, "confidenceInterval": interval} if interval else told
