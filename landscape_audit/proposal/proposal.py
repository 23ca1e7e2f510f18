"""The proposed `audit.toml`, table by table, and what is still missing from it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from landscape_audit.errors import UsageError
from landscape_audit.proposal.beside import Adapter, DataFile, Library, adapter_beside, data_files, library_model
from landscape_audit.proposal.layouts import guess
from landscape_audit.proposal.section import Section
from landscape_audit.proposal.sources import Candidate, Sources, plausible, read_sources
from landscape_audit.proposal.toml import comment
from landscape_audit.proposal.weights import Weights, summary
from landscape_audit.subject.checkpoint.header import Header, read_header, refuse_shard
from landscape_audit.text import printable

_LISTED = 6  # other candidates named in one comment

_TITLE = (
    "What to audit, how, and what is demanded of it. Proposed by `landscape-audit init` from what lies beside the",
    "checkpoint, of which nothing was run: read it through. `landscape-audit schema config` describes every setting.",
)
_GATES = """\
# What is demanded of the numbers: a gate fails the audit, and so a merge. Remove the # where one is meant; without
# gates everything is measured and nothing fails. Every gate says why; every report shows it.

# A saddle can be left downhill: training stopped too early, or where it should not have.
# [gates."stationarity.class"]
# one_of = ["minimum", "approximate_minimum", "plateau"]
# level = "warn"
# why = "a validation loss is rarely stationary where the training loss is; worth a look all the same"

# Sharper than 2 / learning rate and gradient descent at that rate does not stay where it is (Cohen et al. 2021).
# [gates."sharpness.lambda_max"]
# at_most = 40
# why = "2 / the last learning rate, 0.05"

# How far, as a share of each filter's norm, weights may be moved before the loss is up by 10 %.
# [gates."flatness.tolerance"]
# at_least = 0.03
# why = "weights are shipped in int8, which moves them by about 1 % of a filter's norm; leave room"

# What the last release reached must not be lost.
# [gates."loss.metric"]
# at_least = 0.9
# why = "the accuracy of the last release"
"""


@dataclass(frozen=True)
class Proposal:
    """The text of an `audit.toml`, and what a person has to add to it or to confirm."""

    text: str
    missing: tuple[str, ...]
    guessed: tuple[str, ...]


@dataclass(frozen=True)
class _Finds:
    """Everything that was found, and where the file will stand that names it."""

    checkpoint: Path
    target: Path
    header: Header
    weights: Weights
    sources: Sources
    library: Library | None
    adapter: Adapter | None

    @property
    def loss(self) -> str:
        """What the configurations beside the checkpoint say that it is trained on; empty where they do not."""
        return next((each.loss for each in (self.library, self.adapter) if each), "")

    def named(self, beside: str) -> str:
        """A file beside the checkpoint, as `audit.toml` names it: from its own folder."""
        return os.path.relpath(self.checkpoint.resolve().parent / beside, self.target.resolve().parent)


def propose(checkpoint: Path, target: Path) -> Proposal:
    """What `target` could say about the audit of `checkpoint`. Reads its header and what lies beside it."""
    finds = _found(checkpoint, target)
    sections = [_checkpoint(finds), _model(finds), _data(finds), _loss(finds), _protocol()]
    title = "\n".join(map(comment, (*_TITLE, *summary(finds.header))))
    return Proposal(
        text="\n\n".join([title, *map(str, sections), _GATES]),
        missing=tuple(each for section in sections for each in section.missing),
        guessed=tuple(each for section in sections for each in section.guessed),
    )


def _found(checkpoint: Path, target: Path) -> _Finds:
    refuse_shard(checkpoint)
    header, folder = read_header(checkpoint), checkpoint.parent
    try:
        f"{checkpoint.resolve()}{target.resolve()}".encode()
    except UnicodeEncodeError:
        raise UsageError(f"{checkpoint}: is not UTF-8, and TOML is.", remedy="Rename the file.") from None
    weights = Weights.of(header)
    sources, library, adapter = read_sources(folder, weights.parts), library_model(folder), adapter_beside(folder)
    return _Finds(checkpoint, target, header, weights, sources, library, adapter)


# ------------------------------------------------------------------------------------------------------------- tables


def _checkpoint(finds: _Finds) -> Section:
    section = Section("checkpoint", "Which file is audited. Paths here start at the folder of this file.")
    section.sets("path", finds.named(finds.checkpoint.name))
    return section


def _model(finds: _Finds) -> Section:
    section = Section("model", "What the tensors are put into: code that returns a torch.nn.Module, or a library's.")
    weights, library = finds.weights, finds.library
    if library:
        section.sets("factory", library.factory, f"config.json beside the checkpoint: {library.name}")
        if library.kwargs:
            section.sets("kwargs", library.kwargs)
        if library.tied:
            section.remarks(["Input and output embeddings are one tied tensor, counted once."])
    else:
        _factory(section, finds)
    if weights.prefix:
        section.sets("prefix", weights.prefix, "a wrapper's, before every name in the file")
    if weights.foreign:
        section.sets("strict", value=False, why=f"not the model's, and ignored: {', '.join(weights.foreign)}")
    if finds.adapter:
        section.lacks("base", "base/", f"the file or folder of what this adapter lies over, {finds.adapter.base}")
    section.offers("parameters", "*.weight", "which parameters are audited; by default all that are trainable")
    return section


def _factory(section: Section, finds: _Finds) -> None:
    candidates, known = finds.sources.models, guess(finds.weights)
    chosen = plausible(candidates)
    if chosen:
        _chosen(section, "factory", finds, candidates, chosen)
    elif finds.adapter and finds.adapter.task and not candidates:
        section.guesses(
            "factory", "transformers", f"an adapter for {finds.adapter.task} most often lies over its models"
        )
    else:
        section.lacks("factory", "model.py:build", "what builds the model, `file.py:function` or `package.module:name`")
    _others(section, candidates, chosen)
    if known and not chosen:
        section.remarks([_looks(known.factory)])
        section.offers("factory", known.factory)
        if known.kwargs:
            section.offers("kwargs", known.kwargs)


def _looks(factory: str) -> str:
    if factory == "transformers":
        return "The names of the tensors look like transformers; that needs its config.json beside the checkpoint:"
    return "A guess by names and shapes of the tensors, which it may or may not fit:"


def _data(finds: _Finds) -> Section:
    section = Section(
        "data", "The validation sample: batches in the same order every time, neither shuffled nor augmented."
    )
    candidates = finds.sources.loaders
    files = data_files(finds.checkpoint.parent, finds.checkpoint, finds.loss)
    chosen = plausible(candidates)
    if chosen:
        _chosen(section, "loader", finds, candidates, chosen)
    elif len(files) == 1:
        _file(section, finds, files[0])
    else:
        section.lacks(
            "loader", "data.py:validation", "what gives the validation batches; or a file with inputs, targets"
        )
    _others(section, candidates, chosen)
    section.remarks(f"or: file = {finds.named(each.name)}" for each in files if chosen or len(files) > 1)
    keys_are_set = len(files) == 1 and not chosen
    if finds.library and finds.library.factory == "transformers" and not keys_are_set:
        section.offers("inputs", ["input_ids", "attention_mask"], "where batches are dicts: what the model is given")
        section.offers("targets", "labels", "and what the loss is")
    section.offers("n_samples", 2000, "audit so many examples, instead of all")
    return section


def _file(section: Section, finds: _Finds, file: DataFile) -> None:
    section.sets("file", finds.named(file.name), "runs no code")
    if file.inputs:
        section.guesses("inputs", list(file.inputs), "what else is in the file, given to the model")
        section.sets("targets", file.targets)


def _loss(finds: _Finds) -> Section:
    section = Section(
        "loss", "What is minimised: cross_entropy, mse, bce_with_logits, nll, causal_lm, masked_lm, model, or code."
    )
    head, library = finds.weights.head(), finds.library
    if library:
        section.guesses("name", library.loss, f"what {library.name} is usually trained on")
        if library.output:
            section.sets("output", library.output, "the part of the model's output that it is taken of")
    elif finds.adapter and finds.loss:
        section.guesses("name", finds.loss, f"what an adapter for {finds.adapter.task} is usually trained on")
    elif head and head[1] == 1:
        section.lacks("name", "bce_with_logits", f"the last layer, '{head[0]}', has one output: is it yes or no?")
        section.offers("name", "mse", "if it is a number")
    elif head:
        section.guesses("name", "cross_entropy", f"the last layer, '{head[0]}', has {head[1]:,} outputs")
    else:
        section.guesses("name", "cross_entropy", "nothing tells; it is the default")
    section.remarks(f"or your own: name = {finds.named(each.spec)}" for each in finds.sources.losses[:_LISTED])
    return section


def _protocol() -> Section:
    section = Section("protocol", "How to measure. `landscape-audit plan` tells what each preset costs here.")
    section.sets("preset", "standard", "quick, standard or thorough")
    section.lines.append("# learning_rate = 0.05  # the last in training: lambda_max * learning_rate / 2 is reported")
    return section


def _chosen(section: Section, key: str, finds: _Finds, candidates: Sequence[Candidate], chosen: Candidate) -> None:
    """What was taken, as a guess where its name or its number leaves a doubt, and what it has to be called with."""
    others = len(candidates) - 1
    doubt = chosen.doubt or (f"the likeliest of {others + 1}" if others else "")
    if doubt:
        section.guesses(key, finds.named(chosen.spec), doubt)
    else:
        section.sets(key, finds.named(chosen.spec))
    if chosen.needs:
        section.lacks("kwargs", dict.fromkeys(chosen.needs, 0), f"what `{printable(chosen.spec)}` is to be called with")


def _others(section: Section, candidates: Sequence[Candidate], chosen: Candidate | None) -> None:
    others = [each.spec for each in candidates if each is not chosen]
    if others:
        more = f" and {len(others) - _LISTED} more" if len(others) > _LISTED else ""
        section.remarks([f"{'also there' if chosen else 'there are'}: {', '.join(others[:_LISTED])}{more}"])
