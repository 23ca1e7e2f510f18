"""Every error a user can cause, one tree. Each says what, what was found and what to do, and knows its exit code."""

from __future__ import annotations

from collections.abc import Sequence

from landscape_audit.text import printable


class AuditError(Exception):
    """Something a user can mend. Shown as one message, never as a traceback.

    `what` names the thing and what was found (`model.safetensors: no tensor 'head.weight'`), `details` what else was,
    a line each; `remedy` says what to do. All may quote hostile text: control characters and line breaks are made
    visible here, once, for every way out.
    """

    exit_code = 5

    def __init__(self, what: str, *, details: Sequence[str] = (), remedy: str = "") -> None:
        self.what = printable(what, limit=4000)
        self.details = tuple(printable(detail, limit=4000) for detail in details)
        self.remedy = printable(remedy, limit=4000)
        super().__init__(self.what)

    def __str__(self) -> str:
        """The message as a person reads it: what, then details and remedy indented below it."""
        return "\n  ".join(filter(None, (self.what, *self.details, self.remedy)))


class UsageError(AuditError):
    """The command line asks for something that cannot be done as asked."""

    exit_code = 2


class ConfigError(AuditError):
    """`audit.toml` does not say what it must, or says something unknown."""

    exit_code = 2


class PolicyError(AuditError):
    """A gate, a waiver or a policy file that cannot be applied. Never a pass."""

    exit_code = 2


class TemplatesError(AuditError):
    """A template of a team's own that is none, or asks for what templates may not have."""

    exit_code = 2


class OutputError(AuditError):
    """The results cannot be written where they were asked for."""

    exit_code = 2


class ResultsError(AuditError):
    """A results file that is not one, or of a version this release cannot read."""

    exit_code = 4


class CardError(AuditError):
    """A model card that cannot be read, or into which an audit cannot be put without harm to the rest of it."""

    exit_code = 4


class SubjectError(AuditError):
    """The thing to be audited cannot be audited."""

    exit_code = 4


class CheckpointError(SubjectError):
    """The checkpoint is missing, not safetensors, damaged, or does not fit the model."""


class ModelError(SubjectError):
    """The model definition cannot be found, raises, or is not a trainable `torch.nn.Module`."""


class DataError(SubjectError):
    """The validation data are empty, change between passes, or are not tensors."""


class LossError(SubjectError):
    """The loss is unknown, raises, is not finite, or does not depend on the parameters."""


class CapabilityError(AuditError):
    """The machine lacks something that was asked for (Pango for PDF, a CUDA device)."""

    exit_code = 2
