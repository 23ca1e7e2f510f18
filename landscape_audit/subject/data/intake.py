"""How what a loader gives becomes a batch: which of it the model is called with, and which are the targets."""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from landscape_audit.errors import DataError
from landscape_audit.spec import AuditSpec
from landscape_audit.subject.data.batch import Batch
from landscape_audit.subject.data.nested import Nested, leaves
from landscape_audit.subject.losses.returned import IGNORED, MODEL
from landscape_audit.text import count, did_you_mean, listed

TARGETS = ("labels", "label", "targets", "target", "y")
"""Where the targets of a dict are looked for, in this order."""
OF_THEMSELVES = frozenset({"causal_lm"})
"""Losses whose targets are the inputs, where a loader gives none."""


@dataclass(frozen=True)
class Intake:
    """What the model takes and the loss wants."""

    inputs: tuple[str, ...] = ()
    """Keys of a dict that go to the model; empty: all that it takes."""
    targets: str = ""
    """The key of the targets; empty: the first of TARGETS."""
    accepted: frozenset[str] | None = None
    """Names of the arguments of the model's forward; None: any."""
    loss: str = ""
    ignored: int = IGNORED
    """What stands in the targets for one that does not count."""
    left_out: dict[str, None] = field(default_factory=dict)
    """Keys that were of no use, in the order in which they were met."""

    @classmethod
    def of(cls, spec: AuditSpec, model: nn.Module | None) -> Intake:
        """As audit.toml and the signature of the model's forward say, where there is a model."""
        taken = _signature(model).parameters
        open_ended = any(argument.kind is argument.VAR_KEYWORD for argument in taken.values())
        accepted = None if open_ended else frozenset(taken)
        ignored = spec.loss.kwargs.get("ignore_index", IGNORED)
        return cls(spec.data.inputs, spec.data.targets, accepted, spec.loss.name, ignored)

    def batch(self, item: object, where: str) -> Batch:
        """One batch of a loader, or a whole table, in the loader's own memory."""
        item = self._by_name(item)
        if isinstance(item, Mapping):
            found = self._of_dict(dict(item), where)
        elif isinstance(item, (tuple, list)) and len(item) > 1:
            found = Batch(self._arguments(self._given(item), where), nested(item[-1], f"{where}: targets"))
        elif not isinstance(item, (tuple, list)) and self._wants_no_targets:
            inputs = nested(item, f"{where}: inputs")
            found = Batch(inputs, self._own_targets(inputs, where))
        else:
            raise self._unusable(item, where)
        return _checked(found, where)

    def target_among(self, names: Iterable[str]) -> str:
        """The key of the targets among these; empty where none is known to be."""
        known = set(names)
        return self.targets or next((name for name in TARGETS if name in known), "")

    def _by_name(self, item: object) -> object:
        """A named tuple or a dataclass as a dict, where its names say what the parts are; else as a tuple."""
        if dataclasses.is_dataclass(item) and not isinstance(item, type):
            fields = {field.name: getattr(item, field.name) for field in dataclasses.fields(item)}
        elif isinstance(item, tuple) and hasattr(item, "_fields"):
            fields = dict(zip(item._fields, item, strict=True))
        else:
            return item
        key = self.target_among(fields)
        others = fields.keys() - {key}
        means = bool(self.inputs) or self.accepted is None or not self.accepted.isdisjoint(others)
        return fields if key in fields and means else tuple(fields.values())

    @property
    def _wants_no_targets(self) -> bool:
        return self.loss == MODEL or self.loss in OF_THEMSELVES

    def _given(self, item: Sequence[object]) -> object:
        """What of (inputs, …, targets) is for the model: all of it where it makes its own loss of that."""
        inputs = item[0] if len(item) == 2 else tuple(item[:-1])
        if self.loss != MODEL:
            return inputs
        if isinstance(inputs, Mapping):
            key = self.targets or next(
                (name for name in TARGETS if self.accepted and name in self.accepted), TARGETS[0]
            )
            return {**inputs, key: item[-1]}
        return (*inputs, item[-1]) if isinstance(inputs, (tuple, list)) else (inputs, item[-1])

    def _of_dict(self, item: dict[str, object], where: str) -> Batch:
        key = self.target_among(item)
        if key not in item and (self.targets or not self._wants_no_targets):
            asked = f"no '{self.targets}'" if self.targets else "nothing that is known to be targets"
            raise DataError(f"{where}: has {asked} among {_keys(item)}.", remedy=self._where_targets_are(item))
        given = item if self.loss == MODEL else {name: part for name, part in item.items() if name != key}
        inputs = self._arguments(given, where)
        targets = nested(item[key], f"{where}: {key}") if key else self._own_targets(inputs, where)
        return Batch(inputs, targets)

    def _where_targets_are(self, item: Mapping[str, object]) -> str:
        """What to write, with a key that is there: one that the model does not take, if there is one."""
        if self.targets:
            return did_you_mean(self.targets, map(str, item))
        tokens = 'If the targets are the tokens themselves:  [loss] name = "causal_lm" (--loss causal_lm). '
        taken = {*(self.accepted or list(item)[:1]), *self.inputs, "input_ids", "attention_mask", "token_type_ids"}
        free = [name for name in item if name not in taken]
        name = f"[data] targets = {json.dumps(str(free[0]))}" if free else ""
        others = f"Name them:  {name}" if name else "Have the loader give them too, as 'labels'."
        return f"{tokens if 'input_ids' in item else ''}{others}"

    def _arguments(self, given: object, where: str) -> Nested:
        """What the model is called with."""
        if not isinstance(given, Mapping):
            return nested(given, f"{where}: inputs")
        lacking = [name for name in self.inputs if name not in given]
        if lacking:
            raise DataError(
                f"{where}: has no '{lacking[0]}', which [data] inputs asks for.",
                remedy=did_you_mean(lacking[0], map(str, given)),
            )
        known = self.accepted
        names = self._named(given) or tuple(
            name for name, part in given.items() if (known is None or name in known) and _is_numeric(part)
        )
        if not names:
            raise DataError(
                f"{where}: none of {_keys(given)} is an argument of the model's forward.",
                remedy='Say which ones to give it:  [data] inputs = ["…"], or give tuples (inputs, targets).',
            )
        self.left_out.update(dict.fromkeys(str(name) for name in given if name not in names))
        found = {str(name): nested(given[name], f"{where}: {name}") for name in names}
        if known is None or known.issuperset(found):
            return found
        return tuple(found.values())  # asked for by names that are not the model's own: in their order

    def _named(self, given: Mapping[object, object]) -> tuple[str, ...]:
        """The keys that are asked for; with the targets, where the model makes its own loss of them."""
        if not self.inputs or self.loss != MODEL:
            return self.inputs
        key = self.targets or next((name for name in TARGETS if name in given), "")
        return tuple(dict.fromkeys((*self.inputs, *([key] if key else []))))

    def _own_targets(self, inputs: Nested, where: str) -> Tensor:
        """Targets where a loader gives none: the tokens themselves, or nothing for a model's own loss."""
        found = dict(leaves(inputs))
        first = found.get("input_ids", next(iter(found.values())))
        if self.loss == MODEL:
            return first.new_empty(len(first), 0)
        if first.is_floating_point():
            raise DataError(f"{where}: has no tokens to predict.", remedy='Give "input_ids", or targets of your own.')
        mask = found.get("attention_mask")
        return first.clone() if mask is None else first.masked_fill(mask == 0, self.ignored)

    def _unusable(self, item: object, where: str) -> DataError:
        length = f" of {len(item)}" if isinstance(item, (tuple, list)) else ""
        return DataError(
            f"{where}: is a {type(item).__name__}{length}, not a pair (inputs, targets).",
            remedy="Have the loader give tuples (inputs, targets) or dicts of tensors, examples along the first axis.",
        )


def _signature(model: nn.Module | None) -> inspect.Signature:
    try:
        return inspect.signature(model.forward if model else _anything)
    except Exception:  # noqa: BLE001 - a compiled function has none, and a property of the user's may raise anything
        return inspect.signature(_anything)


def _anything(**arguments: object) -> None:
    """What is known of a model that could not be built."""


def nested(value: object, where: str) -> Nested:
    """Tensors in the structure in which they are given."""
    if isinstance(value, Mapping):
        return {str(key): nested(part, f"{where}.{key}") for key, part in value.items()}
    if isinstance(value, (tuple, list)) and not _is_numbers(value):
        return tuple(nested(part, f"{where}[{index}]") for index, part in enumerate(value))
    return _tensor(value, where)


def _is_numbers(value: Sequence[object]) -> bool:
    """Whether this is a column of numbers, or of rows of them, as `datasets` gives them."""
    return bool(value) and all(
        isinstance(part, (int, float)) or (isinstance(part, (tuple, list)) and _is_numbers(part)) for part in value
    )


def _is_numeric(value: object) -> bool:
    if isinstance(value, (Mapping, tuple, list)):
        parts = value.values() if isinstance(value, Mapping) else value
        return _is_numbers(list(parts)) or (bool(parts) and all(_is_numeric(part) for part in parts))
    return isinstance(value, Tensor) or (isinstance(value, np.ndarray) and value.dtype.kind in "biufc")


def _tensor(value: object, where: str) -> Tensor:
    if isinstance(value, np.ndarray):
        try:
            value = torch.from_numpy(np.ascontiguousarray(value, dtype=value.dtype.newbyteorder("=")))
        except (TypeError, ValueError):
            raise DataError(
                f"{where} are a numpy array of {value.dtype}, which is no tensor's type.",
                remedy="Store numbers, all of one type.",
            ) from None
    if isinstance(value, (tuple, list)):
        try:
            value = torch.tensor(value)
        except (TypeError, ValueError, OverflowError):
            raise DataError(f"{where} are rows of different lengths.", remedy="Pad them to one length.") from None
    if not isinstance(value, Tensor):
        raise DataError(
            f"{where} are of type {type(value).__name__}, not a tensor or a numpy array.",
            remedy="Images: transform them, as torchvision's ToTensor() does. Text: tokenise it.",
        )
    if value.layout != torch.strided or value.is_quantized:
        raise DataError(f"{where} are not a dense tensor.", remedy="Call to_dense() or dequantize() in the loader.")
    if value.ndim == 0:
        raise DataError(f"{where} are a single number.", remedy="Examples go along the first axis.")
    return value.detach().cpu().resolve_conj().resolve_neg()


def _checked(batch: Batch, where: str) -> Batch:
    for path, tensor in batch.named():
        if tensor.shape[0] != batch.size:
            name = path.split(".")[-1] if path != "targets" else "target"
            raise DataError(
                f"{where}: has {count(batch.size, 'input')} but {count(tensor.shape[0], name)}.",
                remedy="Both need one entry an example along the first axis.",
            )
    return batch


def _wide(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.itemsize == 1 else tensor  # the 8-bit types know no isfinite


def finite(batch: Batch, where: str) -> Batch:
    """The batch, if all of its numbers are."""
    for path, tensor in batch.named():
        bad = int((~torch.isfinite(_wide(tensor))).sum()) if tensor.is_floating_point() else 0
        if bad:
            raise DataError(
                f"{where}: {count(bad, 'number')} of {tensor.numel():,} in the {path} not finite.",
                remedy="Look at how the data are read and normalised: a division by a zero deviation, most often.",
            )
    return batch


def _keys(found: Mapping[str, object]) -> str:
    return listed(found, len(found)) or "nothing"
