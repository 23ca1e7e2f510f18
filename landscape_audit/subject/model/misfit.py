"""In what a checkpoint does not fit its model, in one message, and the setting that would mend it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from landscape_audit.errors import CheckpointError
from landscape_audit.spec import ModelSpec
from landscape_audit.subject.model.names import Shapes, leads, suggested_prefix, suggested_rename
from landscape_audit.text import count, listed

_LISTED = 6  # names spelled out in one sentence


@dataclass(frozen=True)
class Misfit:
    """Every difference between the file and the model, for one message that names both sides."""

    origin: str
    spec: ModelSpec
    model: Shapes
    file: Shapes
    absent: set[str]
    misshaped: set[str]
    unexpected: list[str]

    def error(self) -> CheckpointError:
        """All of it, and what to do."""
        first, *others = [*self._absent(), *self._misshaped(), *self._unexpected()]
        return CheckpointError(f"{self.origin}: {first}", details=others, remedy=self._remedy())

    def _absent(self) -> list[str]:
        who = self.spec.factory
        if len(self.absent) == 1:
            (name,) = self.absent
            return [f"no tensor '{name}', which {who} expects with shape {self.model[name]}."]
        names = self._shaped(self.absent, self.model)
        return [f"{len(self.absent):,} tensors that {who} expects are not there: {names}."] if names else []

    def _misshaped(self) -> list[str]:
        shown = sorted(self.misshaped)[:_LISTED]
        lines = [
            f"'{name}' has shape {self.file[name]}, {self.spec.factory} expects {self.model[name]}." for name in shown
        ]
        more = len(self.misshaped) - len(shown)
        return [*lines, f"{count(more, 'other tensor')} of another shape than expected."] if more else lines

    def _unexpected(self) -> list[str]:
        many = len(self.unexpected) > _LISTED
        has = f"The file has {grouped(self.unexpected) if many else self._shaped(self.unexpected, self.file)}"
        return [f"{has}, which the model does not."] if self.unexpected else []

    def _remedy(self) -> str:
        if any(".lora_A." in name for name in self.absent) and not any(".lora_A." in name for name in self.file):
            return "Have the factory return the base model, without PeftModel: [model] base lays the adapter over it."
        # What a renaming brought about is not for another renaming to mend: it would speak of names not in the file.
        made = set(self.spec.rename.values())
        spare = {name: self.file[name] for name in self.unexpected if not any(leads(new, name) for new in made)}
        missing = {name: self.model[name] for name in sorted(self.absent)}
        if missing and spare:
            prefix = suggested_prefix(missing, spare)
            if prefix and not self.spec.rename:
                whole = f"{self.spec.prefix.rstrip('.')}.{prefix}".lstrip(".")
                rest = [name for name in self.unexpected if name.removeprefix(f"{prefix}.") not in self.model]
                and_rest = "; leave out what else is there with  strict = false" if rest and self.spec.strict else ""
                return f"Remove the prefix with  [model] prefix = {json.dumps(whole)}{and_rest}"
            rename = {**self.spec.rename, **suggested_rename(missing, spare)}
            if len(rename) > len(self.spec.rename):
                pairs = ", ".join(f"{json.dumps(old)} = {json.dumps(new)}" for old, new in rename.items())
                return f"Rename {'it' if len(missing) == 1 else 'them'} with  [model] rename = {{{pairs}}}"
        if self.unexpected and not self.absent and not self.misshaped:
            return "If they are not needed:  [model] strict = false"
        return "Is this the checkpoint of this model, with these [model] kwargs?"

    def _shaped(self, names: set[str] | list[str], shapes: Shapes) -> str:
        shown = ", ".join(f"'{name}' {shapes.get(name, '')}" for name in sorted(names)[:_LISTED])
        return f"{shown} and {len(names) - _LISTED:,} more" if len(names) > _LISTED else shown


def grouped(names: Sequence[str]) -> str:
    """The names, or where they are many how many there are by their first part: `optimizer.* (12), ema.* (4)`."""
    if len(names) <= _LISTED:
        return listed(names, _LISTED)
    firsts = Counter(f"{name.partition('.')[0]}.*" if "." in name else name for name in names)
    groups = [f"'{first}' ({number:,})" if number > 1 else f"'{first}'" for first, number in firsts.most_common()]
    return ", ".join(groups[:_LISTED]) + (", …" if len(groups) > _LISTED else "")
