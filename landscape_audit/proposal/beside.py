"""What lies beside a checkpoint: the configuration of a library's model or adapter, files of data. Only read."""

from __future__ import annotations

import json
import os
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from landscape_audit.errors import CheckpointError
from landscape_audit.reading import read_bytes
from landscape_audit.subject.checkpoint.header import read_header

_MOST_BYTES = 5_000_000
_MOST_FILES = 20
_LOSSES = (
    ("ForCausalLM", "causal_lm"),
    ("LMHeadModel", "causal_lm"),
    ("ForMaskedLM", "masked_lm"),
    ("ForSequenceClassification", "cross_entropy"),
    ("ForImageClassification", "cross_entropy"),
    ("ForAudioClassification", "cross_entropy"),
    ("ForVideoClassification", "cross_entropy"),
    ("ForTokenClassification", "cross_entropy"),
    ("ForMultipleChoice", "cross_entropy"),
)
"""How a transformers class ends, and what it is trained on; any other class returns its own loss."""
TARGETS = ("labels", "label", "targets", "target", "y")
"""As the data are read, which takes torch: where the targets are looked for."""
_GIVEN_BY_NAME = frozenset({"input_ids", "pixel_values", "input_values", "input_features"})
"""What the first argument of a transformers model is called."""
_PREDICT_TOKENS = frozenset({"causal_lm", "masked_lm"})
"""What is trained on these has an output embedding, which may be the input's."""
_BY_PROBLEM = {"regression": "mse", "multi_label_classification": "bce_with_logits"}

_BY_TASK = {
    "CAUSAL_LM": "causal_lm",
    "SEQ_2_SEQ_LM": "model",
    "QUESTION_ANS": "model",
    "SEQ_CLS": "cross_entropy",
    "TOKEN_CLS": "cross_entropy",
}


@dataclass(frozen=True)
class Library:
    """A model that a library builds: how `audit.toml` names it, and what is known of it."""

    factory: str
    kwargs: Mapping[str, int]
    name: str
    loss: str
    output: str = ""
    tied: bool = False


def library_model(folder: Path) -> Library | None:
    """What `config.json` says, where it is one of transformers or of timm."""
    config = _json(folder / "config.json")
    timm = config.get("architecture")
    if isinstance(timm, str) and re.fullmatch(r"[A-Za-z0-9_]+", timm):
        classes = config.get("num_classes")
        kwargs = {"num_classes": classes} if type(classes) is int and classes > 0 else {}
        return Library(f"timm:{timm}", kwargs, timm, "cross_entropy")
    listed = config.get("architectures")
    name = listed[0] if isinstance(listed, list) and listed and isinstance(listed[0], str) else ""
    if not (name or isinstance(config.get("model_type"), str)):
        return None
    loss = _loss(name, config)
    output = "logits" if loss in {"cross_entropy", "mse", "bce_with_logits"} else ""
    tied = loss in _PREDICT_TOKENS and config.get("tie_word_embeddings") is True
    return Library("transformers", {}, name or str(config["model_type"]), loss, output, tied)


def _loss(name: str, config: Mapping[str, Any]) -> str:
    found = next((loss for ending, loss in _LOSSES if name.endswith(ending)), "model")
    if found != "cross_entropy":
        return found
    problem = config.get("problem_type")
    labels = config.get("id2label")
    alone = config.get("num_labels") == 1 or (isinstance(labels, dict) and len(labels) == 1)
    return _BY_PROBLEM.get(problem if isinstance(problem, str) else "", "mse" if alone else found)


@dataclass(frozen=True)
class Adapter:
    """What an adapter lies over, in the words of its configuration, and what it is trained on."""

    base: str
    task: str
    """peft's name for it; empty where it is none of a transformers model's."""

    @property
    def loss(self) -> str:
        """What such a task is trained on; empty where that is not known."""
        return _BY_TASK.get(self.task, "")


def adapter_beside(folder: Path) -> Adapter | None:
    """What `adapter_config.json` says; None where there is none."""
    config = _json(folder / "adapter_config.json")
    if not config:
        return None
    name, task = config.get("base_model_name_or_path"), config.get("task_type")
    base = name if isinstance(name, str) and name else "a base that it does not name"
    return Adapter(base, task if isinstance(task, str) and task in _BY_TASK else "")


def files_of(folder: Path, *ends: str) -> list[str]:
    """Names of the regular files that end so and can be written into TOML; none where the folder cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.name.endswith(ends) and entry.is_file()]
    except OSError:
        return []
    return sorted(name for name in names if name == name.encode(errors="ignore").decode())


@dataclass(frozen=True)
class DataFile:
    """A file of arrays that an audit takes for its data, and the keys that `audit.toml` has to name for it."""

    name: str
    inputs: tuple[str, ...] = ()
    targets: str = ""


def data_files(folder: Path, checkpoint: Path, loss: str) -> list[DataFile]:
    """Those that say they are for validation, else for a test, else for nothing; none that is for training."""
    others = [name for name in files_of(folder, ".npz", ".safetensors") if name != checkpoint.name]
    read = (_data_file(name, set(_arrays(folder / name)), loss) for name in others[:_MOST_FILES])
    found = [each for each in read if each]
    for purpose in (r"(?<![a-z])(val|dev|holdout)", r"(?<![a-z])(test|eval)", r"^(?!.*train)"):
        if meant := [each for each in found if re.search(purpose, each.name.lower())]:
            return meant
    return []


def _data_file(name: str, arrays: set[str], loss: str) -> DataFile | None:
    if {"inputs", "targets"} <= arrays:
        return DataFile(name)
    targets = next((key for word in TARGETS for key in sorted(arrays) if key.lower() == word), "")
    if arrays & _GIVEN_BY_NAME and (targets or loss == "causal_lm"):
        return DataFile(name)
    inputs = tuple(arrays - {targets})
    return DataFile(name, inputs, targets) if targets and len(inputs) == 1 else None


def _arrays(path: Path) -> Iterator[str]:
    try:
        if path.suffix == ".safetensors":
            yield from read_header(path).tensors
        else:
            with zipfile.ZipFile(path) as stored:
                yield from (name.removesuffix(".npy") for name in stored.namelist())
    except (CheckpointError, OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        return


def _json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; an empty one where there is no such file, or nothing to be understood in it."""
    try:
        found = json.loads(read_bytes(path, _MOST_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
