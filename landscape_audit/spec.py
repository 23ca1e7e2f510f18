"""What to audit and how: `audit.toml`, as pydantic. No torch here; nothing is loaded."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import (
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    model_validator,
)

from landscape_audit.budgets import PRESETS, Budgets, Preset
from landscape_audit.policy import EffectivePolicy, Policy
from landscape_audit.strict import Strict

CONFIG_NAME = "audit.toml"

BasisStorage = Literal["auto", "full", "half", "host"]
SamVariant = Literal["sam", "asam"]


class CheckpointSpec(Strict):
    """Which safetensors file, and how its tensor names become the model's."""

    path: Path | None = Field(default=None, description="Relative to audit.toml; the command line's file wins.")


class ModelSpec(Strict):
    """Where the architecture comes from: code, which is run, or a library's own name for it."""

    factory: str = Field(
        description="`package.module:factory` or `path/to/file.py:factory`, returning a torch.nn.Module; or, without "
        "code, `transformers` (config.json beside the checkpoint), `timm:NAME`, `torchvision:NAME`."
    )
    base: Path | None = Field(
        default=None,
        description="For a LoRA adapter: what it lies over, a .safetensors or the folder that save_pretrained wrote.",
    )
    kwargs: dict[str, Any] = Field(default_factory=dict, description="Given to the factory by name.")
    prefix: str = Field(default="", description="Removed from the front of every tensor name in the checkpoint.")
    rename: dict[str, str] = Field(
        default_factory=dict, description="Leading name parts in the checkpoint = the model's."
    )
    strict: StrictBool = Field(
        default=True, description="false: tensors the model does not have are ignored, and told."
    )
    parameters: str | tuple[str, ...] = Field(
        default=(),
        description="Which parameters are audited: globs over their names, those after ! left out; the rest is frozen. "
        "By default all that are trainable.",
    )

    @property
    def parameter_globs(self) -> tuple[str, ...]:
        """`parameters`, one glob or several, as several."""
        return (self.parameters,) if isinstance(self.parameters, str) else self.parameters


class DataSpec(Strict):
    """Where the validation sample comes from: code (`loader`) or a file that runs none (`file`)."""

    loader: str | None = Field(
        default=None,
        description="`module:name` or `file.py:name`: batches of (inputs, targets) or dicts, a data set, or a function "
        "that returns them.",
    )
    kwargs: dict[str, Any] = Field(default_factory=dict, description="Given to the loader function by name.")
    file: Path | None = Field(
        default=None,
        description="A .safetensors or .npz of arrays: `inputs` and `targets`, or those that the model takes by name "
        "and labels, or what `inputs` and `targets` here name.",
    )
    inputs: tuple[str, ...] = Field(
        default=(), description="Keys of a dict that the model is called with; by default all that it takes."
    )
    targets: str = Field(
        default="", description="Key of the targets in a dict; by default labels, label, targets, target or y."
    )
    n_samples: StrictInt | None = Field(
        default=None, ge=1, description="Audit this many examples, as `draw` says; all by default."
    )
    draw: Literal["auto", "first", "random"] = Field(
        default="auto",
        description="random: with `seed`, classes in proportion; first: the first ones; auto: random where the length "
        "of the data is known.",
    )
    seed: StrictInt = Field(default=0, ge=0, lt=2**63, description="Of the random draw.")
    batch_size: StrictInt | None = Field(
        default=None, ge=1, description="Examples a batch; by default the loader's, or less so that there are 16."
    )


class LossSpec(Strict):
    """What is minimised: a name, or the user's own `file.py:function`."""

    name: str = Field(
        default="cross_entropy",
        description="cross_entropy, nll, causal_lm, masked_lm, bce_with_logits, mse, l1, huber, smooth_l1, "
        "model (which returns its own), or code: file.py:function.",
    )
    output: StrictStr | StrictInt | None = Field(
        default=None,
        description="Which of the model's outputs is meant, by name or number; by default `logits` or `out` of a dict.",
    )
    kwargs: dict[str, Any] = Field(
        default_factory=dict, description="Given to the loss by name (label_smoothing, ignore_index, …)."
    )


class ProtocolSpec(Strict):
    """How to measure."""

    preset: Preset = "standard"
    seed: StrictInt = Field(default=0, ge=0, lt=2**63)
    device: str = Field(
        default="auto", pattern=r"^(auto|cpu|cuda(:\d{1,3})?)$", description="auto, cpu, cuda or cuda:1."
    )
    dtype: Literal["float32", "float64"] = "float32"
    level: StrictFloat = Field(default=0.95, gt=0.5, lt=1, description="Confidence of sampling and probe intervals.")
    basis: BasisStorage = Field(
        default="auto",
        description="How the Krylov basis is kept: in full, in half precision, or in host memory; auto is what fits.",
    )
    products: Literal["full", "bfloat16"] = Field(
        default="full",
        description="Arithmetic of the model in the Krylov run; what is reported is measured again in full.",
    )
    recompute: StrictBool = Field(
        default=False,
        description="Activation checkpointing: activations are computed again when needed; less memory, more time.",
    )
    max_memory: str | None = Field(
        default=None,
        pattern=r"^\d+(\.\d+)?(MiB|GiB)$",
        description="Memory for basis and graphs together, like 800MiB or 4GiB; by default half of what is free.",
    )
    max_time: str | None = Field(
        default=None,
        pattern=r"^\d+(\.\d+)?[smh]$",
        description="Time that measuring may take, like 90s, 10m or 2h; what does not fit is left out, and told.",
    )
    materiality: StrictFloat = Field(
        default=0.01, gt=0, lt=1, description="A change of the loss by this share of it is worth having."
    )
    learning_rate: StrictFloat | None = Field(
        default=None, gt=0, description="The last one used in training: lambda_max * learning_rate / 2 is reported."
    )
    budgets: Budgets = Field(default_factory=Budgets)

    @property
    def max_seconds(self) -> float:
        """`max_time` in seconds; infinite where there is none."""
        units = {"s": 1.0, "m": 60.0, "h": 3600.0}
        return float(self.max_time[:-1]) * units[self.max_time[-1]] if self.max_time else math.inf

    @property
    def max_bytes(self) -> float:
        """`max_memory` in bytes; infinite where there is none."""
        units = {"MiB": 2.0**20, "GiB": 2.0**30}
        return float(self.max_memory[:-3]) * units[self.max_memory[-3:]] if self.max_memory else math.inf

    def budget(self) -> Budgets:
        """The preset's budgets under the ones that were set by hand."""
        return Budgets(**{**PRESETS[self.preset], **self.budgets.model_dump(exclude_none=True)})


class SamSpec(Strict):
    """Twins trained on from the checkpoint, with and without sharpness-aware minimisation. Off unless enabled."""

    enabled: StrictBool = Field(default=False, description="true: train and compare; `plan` tells what it costs.")
    train: str = Field(
        default="",
        description="Training data: `module:function`, `file.py:function`, a .safetensors or .npz. In a fixed order, "
        "without augmentation: the seeds shuffle.",
    )
    variants: tuple[SamVariant, ...] = Field(
        default=("sam", "asam"), min_length=1, description="What is held against the base optimiser."
    )
    optimiser: Literal["sgd", "adamw"] = Field(default="sgd", description="The base optimiser, torch's own.")
    lr: StrictFloat | None = Field(
        default=None,
        gt=0,
        description="Constant; by default protocol.learning_rate, and without one 0.01 (sgd) or 0.001 (adamw).",
    )
    momentum: StrictFloat = Field(default=0.9, ge=0, lt=1, description="Of sgd; adamw has its own.")
    weight_decay: StrictFloat = Field(default=0.0, ge=0, description="In the step, never in the ascent.")
    rho: StrictFloat = Field(default=0.05, ge=0, description="Radius of the SAM ascent (Foret et al. 2021).")
    adaptive_rho: StrictFloat = Field(default=0.5, ge=0, description="Radius of the ASAM ascent (Kwon et al. 2021).")
    steps: StrictInt = Field(
        default=200,
        ge=2,
        multiple_of=2,
        description="Gradients a twin may take: so many steps of the base optimiser, half as many of SAM.",
    )
    batch_size: StrictInt = Field(default=64, ge=1, description="Examples a step; SAM ascends on each batch by itself.")
    seeds: StrictInt = Field(default=3, ge=3, description="Orders of the batches; the intervals are over them.")
    save: Path | None = Field(
        default=None,
        description="Write the twin of lowest validation loss there, a .safetensors from audit.toml's folder.",
    )

    @model_validator(mode="after")
    def _has_data(self) -> Self:
        if self.enabled and not self.train:
            message = 'enabled, but train is missing: name the training data, such as  train = "data.py:training"'
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _names_variants_once(self) -> Self:
        if len(set(self.variants)) < len(self.variants):
            message = f"variants names one twice: {', '.join(self.variants)}"
            raise ValueError(message)
        return self


class ChecksSpec(Strict):
    """Which checks of the battery run."""

    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    sam: SamSpec = Field(default_factory=SamSpec)


class AuditSpec(Policy):
    """`audit.toml`, whole. Its `[gates]` and `[[waivers]]` are the policy unless `--policy` names another."""

    checkpoint: CheckpointSpec = Field(default_factory=CheckpointSpec)
    model: ModelSpec
    data: DataSpec
    loss: LossSpec = Field(default_factory=LossSpec)
    protocol: ProtocolSpec = Field(default_factory=ProtocolSpec)
    checks: ChecksSpec = Field(default_factory=ChecksSpec)

    def policy(self) -> EffectivePolicy:
        """The demands alone, without what `extends` names: `policy_file` reads that."""
        return EffectivePolicy(**{name: getattr(self, name) for name in Policy.model_fields})
