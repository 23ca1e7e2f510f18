"""What the names and shapes of a checkpoint's tensors tell of the model they belong to."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from landscape_audit.subject.checkpoint.header import Header, Stored

_WRAPPERS = ("module.", "_orig_mod.")
"""What DataParallel and `torch.compile` put before every name."""
_NOT_THE_MODEL = frozenset({"optimizer", "optimiser", "optim", "scheduler", "ema", "ema_model"})
_HEADS = ("fc", "head", "classifier", "heads.head", "head.fc", "lm_head", "score", "output", "out_proj", "decoder")
"""What the last layer is called, in the networks that people load by name and most of their own."""


@dataclass(frozen=True)
class Weights:
    """A checkpoint's tensors as the model would name them, and what was taken off the names."""

    tensors: Mapping[str, Stored]
    prefix: str
    foreign: tuple[str, ...]
    """First parts of names that belong to no model: an optimiser's state, an average of the weights."""

    @classmethod
    def of(cls, header: Header) -> Weights:
        """Wrappers taken off, where every name has them."""
        prefix, names = "", list(header.tensors)
        while wrapper := next((word for word in _WRAPPERS if _leads(prefix + word, names)), ""):
            prefix += wrapper
        tensors = {name.removeprefix(prefix): stored for name, stored in header.tensors.items()}
        foreign = sorted({name.partition(".")[0] for name in tensors} & _NOT_THE_MODEL)
        return cls(tensors, prefix.rstrip("."), tuple(foreign))

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor; empty where there is none of that name."""
        stored = self.tensors.get(name)
        return stored.shape if stored else ()

    def has(self, *names: str) -> bool:
        """Whether there are tensors of all these names."""
        return all(name in self.tensors for name in names)

    def children(self, pattern: str) -> int:
        """How many different things the group of `pattern`, a regular expression for the front of a name, finds."""
        found = re.compile(pattern)
        return len({match.group(1) for name in self.tensors if (match := found.match(name))})

    @property
    def parts(self) -> frozenset[str]:
        """The first parts of all names: what the model calls its own attributes."""
        return frozenset(name.partition(".")[0] for name in self.tensors) - frozenset(self.foreign)

    def head(self) -> tuple[str, int] | None:
        """The name and the width of the last layer, where its name or its number tells it."""
        for name in _HEADS:
            if len(shape := self.shape(f"{name}.weight")) == 2:
                return f"{name}.weight", shape[0]
        return self._end_of_a_list() or self._single_output()

    def _single_output(self) -> tuple[str, int] | None:
        """A layer of one output, where there is only one: hardly anything is behind it."""
        single = [name for name, each in self.tensors.items() if name.endswith(".weight") and each.shape[:1] == (1,)]
        return (single[0], 1) if len(single) == 1 and len(self.shape(single[0])) == 2 else None

    def _end_of_a_list(self) -> tuple[str, int] | None:
        """The last layer where all layers stand in one numbered list, as in a Sequential."""
        weights = [name for name in self.tensors if name.endswith(".weight")]
        numbered = [match for name in weights if (match := re.fullmatch(r"(.*?)(\d{1,4})\.weight", name, re.DOTALL))]
        if not numbered or len(numbered) < len(weights) or len({match[1] for match in numbered}) > 1:
            return None
        name = max(numbered, key=lambda match: int(match[2]))[0]
        shape = self.shape(name)
        return (name, shape[0]) if len(shape) == 2 else None


def summary(header: Header) -> list[str]:
    """Sentences on what the file holds."""
    tensors = header.tensors.values()
    kinds = Counter(stored.dtype for stored in tensors)
    stored = ", ".join(f"{number:,} in {dtype}" for dtype, number in kinds.most_common())
    total = sum(each.elements for each in tensors)
    files = f" in {header.files:,} files" if header.files > 1 else ""
    lines = [f"{len(header.tensors):,} tensors with {total:,} numbers{files}: {stored}."]
    if kinds.keys() & {"F16", "BF16"}:
        lines.append("Low-precision weights are audited in float32, and the report says so.")
    words = [f"{name} = {word}" for name, word in sorted(header.metadata.items()) if name != "format"]
    if words:
        lines.append(f"Its metadata: {'; '.join(words[:8])}")
    return lines


def _leads(prefix: str, names: list[str]) -> bool:
    return all(name.startswith(prefix) and name != prefix for name in names)
