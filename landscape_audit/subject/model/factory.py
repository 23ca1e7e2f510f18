"""The module that the user's factory returns, found to be one that can be audited."""

from __future__ import annotations

from torch import nn
from torch.nn.parameter import is_lazy

from landscape_audit.errors import ModelError
from landscape_audit.spec import ModelSpec
from landscape_audit.subject.code.user_code import UserCode
from landscape_audit.subject.model.wrappers import unwrapped


def build_model(spec: ModelSpec, code: UserCode) -> tuple[nn.Module, tuple[str, ...]]:
    """What the factory returns: a module with real, trainable parameters, out of its wrappers, which are told."""
    factory = code.resolve(spec.factory, ModelError)
    with code.running(spec.factory, ModelError):
        model, told = unwrapped(factory(**spec.kwargs))
        if not isinstance(model, nn.Module):
            found = f"{spec.factory}: returned {type(model).__name__}, not a torch.nn.Module."
            raise ModelError(found, remedy="Return the model itself.")
        check_parameters(spec.factory, model, chosen=bool(spec.parameter_globs))
    return model, told


def check_parameters(factory: str, model: nn.Module, *, chosen: bool) -> None:
    """An error unless the parameters are real, have shapes and values, and some are trained or will be `chosen`."""
    for name, parameter in model.named_parameters():
        if is_lazy(parameter):
            raise ModelError(
                f"{factory}: the parameter '{name}' has no shape yet.",
                remedy="Run the lazy model once in the factory.",
            )
        if parameter.is_meta or parameter.is_inference():
            how = "on the meta device" if parameter.is_meta else "in inference mode"
            raise ModelError(
                f"{factory}: the parameter '{name}' was made {how}, where nothing can be loaded into it.",
                remedy="Build the model as for training, on the CPU.",
            )
        if parameter.requires_grad and not parameter.is_floating_point():
            raise ModelError(
                f"{factory}: '{name}' is {parameter.dtype}; only real parameters have a landscape here.",
                remedy="Freeze it with requires_grad_(False), or keep its real and imaginary part as two parameters.",
            )
    if not (chosen or any(parameter.requires_grad for parameter in model.parameters())):
        raise ModelError(
            f"{factory}: the model has no trainable parameters, hence no loss landscape.",
            remedy='Leave requires_grad on, or choose some with  [model] parameters = "*"',
        )
