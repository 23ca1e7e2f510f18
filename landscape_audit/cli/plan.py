"""`landscape-audit plan`: what an audit would cost."""

from __future__ import annotations

import json as encoder
from collections.abc import Sequence

import typer

from landscape_audit.cli import options
from landscape_audit.cli.progress import forecast, seconds
from landscape_audit.plan import Plan
from landscape_audit.results import Cost


def plan(
    checkpoint: options.Checkpoint = None,
    config: options.Config = None,
    model: options.ModelOption = None,
    model_arg: options.ModelArguments = None,
    parameters: options.Parameters = None,
    data: options.DataOption = None,
    loss: options.LossOption = None,
    n_samples: options.Samples = None,
    batch_size: options.BatchSize = None,
    preset: options.PresetOption = None,
    device: options.Device = None,
    dtype: options.Dtype = None,
    only: options.Only = None,
    skip: options.Skip = None,
    no_code: options.NoCode = False,
    json: options.Json = False,
) -> None:
    """Tell what an audit would cost, without running it.

    Loads the checkpoint and the data, times one gradient and one Hessian-vector product, and adds up what every
    measurement needs. One gradient of the whole sample is the unit.

    **Example**

        landscape-audit plan model.safetensors --preset thorough
    """
    flags = options.flags_of(
        model=model,
        model_args=model_arg,
        parameters=parameters,
        data=data,
        loss=loss,
        n_samples=n_samples,
        batch_size=batch_size,
        only=only,
        skip=skip,
        preset=preset,
        device=device,
        dtype=dtype,
    )
    asked = options.request(checkpoint, config, flags, no_code=no_code)
    from landscape_audit.measure import plan_audit

    found = plan_audit(asked.spec, asked.checkpoint, asked.base)
    typer.echo(encoder.dumps(_data(found), indent=1) if json else _table(found))


def _data(found: Plan) -> dict[str, object]:
    return {
        "parameters": found.parameters,
        "n_samples": found.n_samples,
        "gradients": found.gradients,
        "seconds": found.seconds,
        "memory_bytes": found.memory_bytes,
        "gradient_seconds": found.gradient_seconds,
        "forward_gradients": found.forward_gradients,
        "hvp_gradients": found.hvp_gradients,
        "probes": [
            {
                "name": probe.name,
                **probe.cost.model_dump(),
                "in_gradients": found.gradients_of(probe),
                "checks": list(probe.checks),
            }
            for probe in found.probes
        ],
        "checks": [
            {"name": name, **cost.model_dump(), "in_gradients": found.in_gradients(cost)}
            for name, cost in found.by_check().items()
        ],
    }


def _table(found: Plan) -> str:
    probes = [(probe.name, probe.cost, ", ".join(probe.checks)) for probe in found.probes]
    alone = [(name, cost, "") for name, cost in found.by_check().items()]
    return "\n".join(
        [
            forecast(found),
            "",
            *_rows("measured once", found, probes, "for"),
            "",
            *_rows("a check alone", found, alone),
        ]
    )


def _rows(title: str, found: Plan, costs: Sequence[tuple[str, Cost, str]], last: str = "") -> list[str]:
    head = f"{title:28}{'forwards':>10}{'gradients':>11}{'HVPs':>7}{'in gradients':>14}{'time':>9}   {last}"
    return [
        head.rstrip(),
        *(
            f"{name:28}{cost.forwards:10.0f}{cost.gradients:11.1f}{cost.hvps:7.1f}{found.in_gradients(cost):14.1f}"
            f"{seconds(found.in_gradients(cost) * found.gradient_seconds):>9}   {use}".rstrip()
            for name, cost, use in costs
        ),
    ]
