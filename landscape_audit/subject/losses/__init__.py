"""The losses by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable

from pydantic import ConfigDict, ValidationError, validate_call

from landscape_audit.errors import LossError
from landscape_audit.spec import LossSpec
from landscape_audit.subject.code.user_code import UserCode
from landscape_audit.subject.losses import classes, returned, values
from landscape_audit.subject.losses.loss import Loss
from landscape_audit.subject.losses.own import from_code
from landscape_audit.text import did_you_mean

_BUILT_IN: dict[str, Callable[..., Loss]] = {
    "cross_entropy": classes.cross_entropy,
    "nll": classes.nll,
    "causal_lm": classes.causal_lm,
    "masked_lm": classes.masked_lm,
    "bce_with_logits": values.bce_with_logits,
    "mse": values.mse,
    "l1": values.l1,
    "huber": values.huber,
    "smooth_l1": values.smooth_l1,
    "model": returned.model,
}


def resolve_loss(spec: LossSpec, code: UserCode) -> Loss:
    """The loss that `spec` names: built in, the model's own, or the user's `file.py:function`."""
    if ":" in spec.name:
        return from_code(spec, code)
    if spec.name not in _BUILT_IN:
        remedy = f"{did_you_mean(spec.name, _BUILT_IN)} Your own: 'file.py:function'."
        raise LossError(f"[loss] name '{spec.name}' is unknown.", remedy=remedy)
    make = _BUILT_IN[spec.name]
    known = list(inspect.signature(make).parameters)
    unknown = sorted(set(spec.kwargs) - set(known))
    if unknown:
        remedy = did_you_mean(unknown[0], known) if known else "It takes none."
        raise LossError(f"[loss] {spec.name} has no argument '{unknown[0]}'.", remedy=remedy)
    try:
        return validate_call(config=ConfigDict(strict=True))(make)(**spec.kwargs)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        wrong = f"[loss] {spec.name}: {name} = {spec.kwargs[name]!r} is not what it takes"
        remedy = f"Write it without quotes:  [loss] kwargs = {{ {name} = … }}"
        raise LossError(f"{wrong}: {first['msg'][:1].lower()}{first['msg'][1:]}.", remedy=remedy) from None
