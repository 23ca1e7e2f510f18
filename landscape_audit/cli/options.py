"""The options that commands share, and the audit that a checkpoint, a config file and flags describe together."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from landscape_audit.config_error import validated
from landscape_audit.errors import CheckpointError, ConfigError, UsageError
from landscape_audit.gates.policy_file import effective, layers
from landscape_audit.no_code import refuse_code
from landscape_audit.policy import EffectivePolicy
from landscape_audit.spec import CONFIG_NAME, AuditSpec
from landscape_audit.toml_file import read_toml

Checkpoint = Annotated[
    Path | None,
    typer.Argument(metavar="CHECKPOINT", help="A .safetensors file; by default the one that audit.toml names."),
]
Config = Annotated[
    Path | None, typer.Option("--config", "-c", help="audit.toml; by default the one beside the checkpoint.")
]
ModelOption = Annotated[
    str | None,
    typer.Option("--model", help="package.module:factory, file.py:factory, timm:NAME, torchvision:NAME, transformers."),
]
ModelArguments = Annotated[
    list[str] | None, typer.Option("--model-arg", metavar="NAME=VALUE", help="For the factory; as often as needed.")
]
Parameters = Annotated[
    list[str] | None,
    typer.Option("--parameters", metavar="GLOB", help="Audit these parameters only, !GLOB all but these; repeatable."),
]
DataOption = Annotated[
    str | None,
    typer.Option("--data", help="module:function or file.py:function, or a .safetensors or .npz with inputs, targets."),
]
LossOption = Annotated[
    str | None,
    typer.Option(
        "--loss", help="cross_entropy, nll, mse, bce_with_logits, causal_lm, masked_lm, model, or file.py:function."
    ),
]
Samples = Annotated[
    int | None,
    typer.Option("--n-samples", help="Audit so many examples, as [data] draw says."),
]
BatchSize = Annotated[int | None, typer.Option("--batch-size", help="Examples a batch; by default the loader's.")]
Seed = Annotated[int | None, typer.Option("--seed", help="Of every random direction; 0 by default.")]
Device = Annotated[str | None, typer.Option("--device", help="auto, cpu, cuda or cuda:1.")]
Dtype = Annotated[str | None, typer.Option("--dtype", help="float32 or float64.")]
PresetOption = Annotated[str | None, typer.Option("--preset", help="quick, standard or thorough.")]
Rate = Annotated[
    float | None, typer.Option("--learning-rate", help="The last one in training; reports lambda_max * rate / 2.")
]
MaxTime = Annotated[
    str | None, typer.Option("--max-time", help="Like 90s, 10m, 2h: checks that do not fit are left out, and told.")
]
Only = Annotated[list[str] | None, typer.Option("--only", metavar="CHECK", help="Run only this check; repeatable.")]
Skip = Annotated[list[str] | None, typer.Option("--skip", metavar="CHECK", help="Leave this check out; repeatable.")]
NoCode = Annotated[
    bool, typer.Option("--no-code", help="Refuse an audit that would import code: declared models and data files only.")
]
Json = Annotated[bool, typer.Option("--json", help="Results on stdout, and nothing else there.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress; only the last line and errors.")]


@dataclass(frozen=True)
class Request:
    """What to audit: the spec, the checkpoint, and the folder that the spec's paths start from."""

    spec: AuditSpec
    checkpoint: Path
    base: Path
    origin: str
    """What named it: a config file, or the command line."""
    policy: EffectivePolicy
    """What it demands, with all that its policy extends."""


def request(checkpoint: Path | None, config: Path | None, flags: dict[str, Any], *, no_code: bool = False) -> Request:
    """A config file, the one beside the checkpoint or none, with every flag that was given laid over it."""
    asked = unread_request(checkpoint, config, flags, no_code=no_code)
    require_named_checkpoint(asked)
    return asked


def unread_request(
    checkpoint: Path | None, config: Path | None, flags: dict[str, Any], *, no_code: bool = False
) -> Request:
    """The same, whether or not there is a file where the checkpoint is said to be."""
    path = config or _beside(checkpoint)
    values = read_toml(path) if path else {}
    base = path.resolve().parent if path else Path.cwd()
    origin = str(path) if path else "command line"
    if path is None and (
        missing := [flag for flag, table in (("--model", "model"), ("--data", "data")) if not flags.get(table)]
    ):
        raise _without_config(checkpoint, missing)
    demands = layers(values, path)
    values = {name: value for name, value in values.items() if name != "extends"} | demands.values
    spec = validated(AuditSpec, _merged(values, _seen_from(base, flags)), origin)
    if no_code:
        refuse_code(spec)
    return Request(spec, _checkpoint(checkpoint, spec, base, origin), base, origin, effective(demands, origin))


def _without_config(checkpoint: Path | None, missing: list[str]) -> CheckpointError | UsageError:
    if checkpoint is not None and not os.path.lexists(checkpoint):
        return CheckpointError(f"{checkpoint}: no such file.", remedy="Name the .safetensors file to audit.")
    command = f"landscape-audit init {shlex.quote(str(checkpoint or 'model.safetensors'))}"
    return UsageError(
        f"{' and '.join(missing)}: not given, and there is no {CONFIG_NAME} beside the checkpoint.",
        remedy=f"`{command}` writes one; or give --model file.py:factory --data file.py:loader.",
    )


def require_named_checkpoint(asked: Request) -> None:
    """An error where the checkpoint that a config file names is not there."""
    named = asked.spec.checkpoint.path
    if named is not None and asked.checkpoint == asked.base / named and not asked.checkpoint.exists():
        raise CheckpointError(
            f"{asked.checkpoint}: no such file.", remedy=f"{asked.origin} names it under [checkpoint] path."
        )


def flags_of(
    *,
    model: str | None,
    model_args: Sequence[str] | None,
    parameters: Sequence[str] | None = None,
    data: str | None,
    loss: str | None,
    n_samples: int | None,
    batch_size: int | None,
    only: Sequence[str] | None,
    skip: Sequence[str] | None,
    **protocol: Any,
) -> dict[str, Any]:
    """The flags that were given, as the tables of `audit.toml`."""
    source = {"file" if data and data.endswith((".npz", ".safetensors")) else "loader": data}
    tables: dict[str, dict[str, Any]] = {
        "model": {
            "factory": model,
            "kwargs": dict(map(_argument, model_args or ())) or None,
            "parameters": parameters or None,
        },
        "data": {**source, "n_samples": n_samples, "batch_size": batch_size},
        "loss": {"name": loss},
        "protocol": protocol,
        "checks": {"only": only or None, "skip": skip or None},
    }
    given = {
        table: {name: value for name, value in values.items() if value is not None} for table, values in tables.items()
    }
    return {table: values for table, values in given.items() if values}


def _seen_from(base: Path, flags: dict[str, Any]) -> dict[str, Any]:
    """Paths in flags start here, those in a config file at its folder; both become paths from that folder."""
    places = (("model", "factory"), ("data", "loader"), ("data", "file"), ("loss", "name"))
    seen = {table: dict(values) for table, values in flags.items()}
    for table, name in places:
        text = str(seen.get(table, {}).get(name, ""))
        path, colon, function = text.rpartition(":") if name != "file" else (text, "", "")
        if path and (name == "file" or path.endswith(".py")):
            seen[table][name] = os.path.relpath(Path.cwd() / path, base) + colon + function
    return seen


def _argument(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not (equals and name):
        raise UsageError(f"--model-arg {text}: is not NAME=VALUE.", remedy="For example --model-arg width=64.")
    import tomllib

    try:
        return name, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return name, value


def _beside(checkpoint: Path | None) -> Path | None:
    # Not Path.is_dir, which raises where a name is too long.
    is_folder = checkpoint is not None and os.path.isdir(checkpoint)  # noqa: PTH112 - see above
    folder = Path() if checkpoint is None else checkpoint if is_folder else checkpoint.parent
    return folder / CONFIG_NAME if os.path.isfile(folder / CONFIG_NAME) else None  # noqa: PTH113 - see above


def _merged(values: dict[str, Any], flags: dict[str, Any]) -> dict[str, Any]:
    merged = dict(values)
    for table, given in flags.items():
        below = merged.get(table, {})
        if not isinstance(below, dict):
            continue  # the schema's own message names the wrong table
        kept = {name: value for name, value in below.items() if not (table == "data" and _replaced(name, given))}
        merged[table] = {**kept, **given}
    return merged


def _replaced(name: str, given: dict[str, Any]) -> bool:
    """Whether a flag names another source of data than the file: a loader's kwargs go with it."""
    return bool({"loader", "file"} & set(given)) and name in {"loader", "file", "kwargs"}


def _checkpoint(checkpoint: Path | None, spec: AuditSpec, base: Path, origin: str) -> Path:
    if checkpoint is not None:
        return checkpoint
    if spec.checkpoint.path is None:
        raise ConfigError(f"{origin}: names no checkpoint.", remedy='Name the file, or set [checkpoint] path = "…".')
    return base / spec.checkpoint.path
