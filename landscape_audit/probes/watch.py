"""A forward pass watched: which units of its non-linearities do nothing, and how widely its attention looks."""

from __future__ import annotations

import contextlib
import functools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch._C._functorch import is_functorch_wrapped_tensor
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from landscape_audit.probes import attention
from landscape_audit.probes.activations import GELU_OFF, SATURATED, SILU_OFF, Kind, Observed, Site, Tally
from landscape_audit.probes.evaluation import Pass
from landscape_audit.subject.subject import Subject

Off = Callable[[Tensor], Tensor]
"""Where a non-linearity has no slope, or next to none."""

RULES: Mapping[str, tuple[Kind, Off]] = {
    **dict.fromkeys(("relu", "relu6", "threshold", "hardswish"), ("relu", lambda out: out == 0)),
    **dict.fromkeys(
        ("sigmoid", "special_expit", "hardsigmoid"),
        ("sigmoid", lambda out: (out < 1 - SATURATED) | (out > SATURATED)),
    ),
    "tanh": ("sigmoid", lambda out: out.abs() > SATURATED),
}
"""Of the output, by the function's name: torch.relu, torch.relu_, Tensor.relu and functional.relu share one."""
SMOOTH: Mapping[str, Off] = {"gelu": lambda x: x <= GELU_OFF, "silu": lambda x: x <= SILU_OFF}
"""Of the input: the output of these does not tell."""
FUSED = frozenset({"lstm", "gru", "rnn_tanh", "rnn_relu", "lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell"})
"""Calls that contain non-linearities which nothing outside them can see."""
ATTENTION = frozenset({"scaled_dot_product_attention", "multi_head_attention_forward"})

CHANNELS_FIRST = frozenset({"batch_norm", "instance_norm", "group_norm"})
FEATURES_LAST = frozenset({"linear", "bilinear", "matmul", "layer_norm", "rms_norm", "embedding"})
REARRANGING = frozenset(
    {"transpose", "permute", "movedim", "moveaxis", "swapaxes", "swapdims", "__get__"}
    | {"reshape", "view", "unflatten", "flatten", "einsum", "bmm", "baddbmm", "t"}
)
"""After these the units are no longer where they were."""


def observe(subject: Subject, calls: Sequence[Pass]) -> Observed:
    """What happens in one process's calls of the model at θ. Cost: one forward."""
    views = subject.layout.views(subject.theta)
    with torch.no_grad(), watching(subject.model) as watch:
        for call in calls:
            watch.begin()
            with watch:
                subject.outputs(views, call.whole)
    return watch.observed()


@contextlib.contextmanager
def watching(model: nn.Module) -> Iterator[Watch]:
    """A watch that is told which of the model's modules runs. Nothing of it stays on the model."""
    watch = Watch()
    with contextlib.ExitStack() as hooks:
        for name, module in model.named_modules():
            if isinstance(module, torch.jit.ScriptModule):  # takes no hooks, and runs outside Python
                watch.hides(name)
                continue
            entered = module.register_forward_pre_hook(functools.partial(watch.enters, name), prepend=True)
            hooks.callback(entered.remove)
            hooks.callback(module.register_forward_hook(watch.leaves, always_call=True).remove)
        yield watch


class Watch(TorchFunctionMode):
    """Sees every torch function that is called while it is on, from modules and from plain code alike.

    A site is the innermost running module, the function, and how often that module has called it in this pass. Of an
    activation only counts by unit are kept. A unit is a channel behind a convolution and its like, and one of the
    last dimension otherwise; where nothing told so on the way, tensors of four and more dimensions are taken to have
    their channels second. A vector is one unit, a single
    number, such as a learnt gate, is none.
    """

    def __init__(self) -> None:
        super().__init__()
        self._running: list[str] = []
        self._calls: Counter[tuple[str, str]] = Counter()
        self._axes: WeakTensorKeyDictionary = WeakTensorKeyDictionary()
        self._tallies: dict[Site, tuple[Tensor, Tensor]] = {}
        self._hidden: dict[str, None] = {}
        self._broken: Exception | None = None

    def begin(self) -> None:
        """A pass begins: calls are counted anew."""
        self._running.clear()
        self._calls.clear()

    def enters(self, name: str, _module: nn.Module, _inputs: Any) -> None:
        """A module begins."""
        self._running.append(name)

    def leaves(self, _module: nn.Module, _inputs: Any, _outputs: Any) -> None:
        """It ends, or raises."""
        self._running.pop()

    def hides(self, name: str) -> None:
        """A module computes something that this watch cannot see."""
        if name.rpartition(".")[0] not in self._hidden:
            self._hidden.setdefault(name)

    def observed(self) -> Observed:
        """What was seen, on the host; or what went wrong with seeing it."""
        if self._broken:
            raise self._broken
        tallies = {
            site: Tally(*(part.cpu().numpy() for part in (sums, counts)))
            for site, (sums, counts) in self._tallies.items()
        }
        return Observed(tallies, tuple(self._hidden))

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        del types
        kwargs = kwargs or {}
        name = _name(func)
        before = None
        with self._own():
            before = self._before(name, args, kwargs)
        out = func(*args, **kwargs)
        with self._own():
            self._after(name, before, out, args, kwargs)
        return out

    @contextlib.contextmanager
    def _own(self) -> Iterator[None]:
        """What fails in here is no fault of the model: nothing is thrown into its forward, but kept until after it."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - raised again by `observed`
            self._broken = self._broken or error

    def _before(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor | None:
        """Where a function of `SMOOTH` is off: its input may be overwritten."""
        first: Any = args[0] if args else kwargs.get("input")
        return SMOOTH[name](first) if name in SMOOTH and _is_dense(first) else None

    def _after(
        self, name: str, before: Tensor | None, out: Any, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> None:
        first: Any = args[0] if args else kwargs.get("input")
        self._follow(name, args, out)
        result = out[0] if isinstance(out, tuple) else out
        rule = _rule(name, kwargs)
        if name in FUSED or ((rule or name in SMOOTH or name in ATTENTION) and not _is_dense(result)):
            self.hides(self._module)
        elif before is not None:
            self._count("relu", name, out, before)
        elif rule is not None:
            self._count(rule[0], name, out, rule[1](out))
        elif name in ATTENTION or (name == "softmax" and _is_attention(first, out, args, kwargs)):
            self._attend(name, first, out, args, kwargs)

    # ----------------------------------------------------------------------------------------------------- counting

    @property
    def _module(self) -> str:
        return self._running[-1] if self._running else ""

    def _count(self, kind: Kind, name: str, out: Tensor, off: Tensor) -> None:
        if not off.ndim:
            return
        off = off[..., None] if off.ndim < 2 else off
        axis = self._axes[out] if out in self._axes else 1 if out.ndim > 3 else off.ndim - 1
        others = [dim for dim in range(off.ndim) if dim != axis]
        sums = off.sum(others).double()
        self._add(kind, name, sums, torch.full_like(sums, off.numel() / max(1, len(sums))))

    def _attend(self, name: str, scores: Any, out: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        mask = kwargs.get("attn_mask", args[3] if len(args) > 3 else None)
        if name == "softmax":
            found = attention.of_softmax(scores, out)
        elif name == "multi_head_attention_forward":
            found = attention.of_module(*args, **kwargs)
        elif mask is None or _is_plain(mask):
            found = attention.of_product(*args, **kwargs)
        else:  # a mask that is a rule, not a tensor of numbers
            self.hides(self._module)
            return
        self._add("attention", name, found.sums, found.queries)

    def _add(self, kind: Kind, name: str, sums: Tensor, counts: Tensor) -> None:
        self._calls[self._module, name] += 1
        site = Site(kind, self._module, name, self._calls[self._module, name], len(sums))
        known = self._tallies.get(site)
        self._tallies[site] = (sums, counts) if known is None else (known[0] + sums, known[1] + counts)

    # ----------------------------------------------------------------------------------------- where the units are

    def _follow(self, name: str, args: Sequence[Any], out: Any) -> None:
        """Note which dimension of the outputs counts units, where this call says so or leaves it as it was."""
        inputs = [part for arg in args[:2] for part in _tensors(arg)]
        for result in _tensors(out):
            axis = _axis(name, result)
            if axis is None and name not in REARRANGING:
                alike = (part for part in inputs if part.ndim == result.ndim and part in self._axes)
                axis = next((self._axes[part] for part in alike), None)
            if axis is not None:
                self._axes[result] = axis
            elif result in self._axes:  # changed in place
                del self._axes[result]


def _name(func: Callable[..., Any]) -> str:
    name = getattr(func, "__name__", "")
    return name if name.startswith("__") else name.strip("_")


def _rule(name: str, kwargs: Mapping[str, Any]) -> tuple[Kind, Off] | None:
    if name == "hardtanh":  # ReLU6 by another name, or a piecewise linear tanh
        bounds = kwargs.get("min_val", -1.0), kwargs.get("max_val", 1.0)
        return RULES["relu"] if bounds[0] == 0 else RULES["tanh"] if bounds == (-1, 1) else None
    return RULES.get(name)


def _axis(name: str, out: Tensor) -> int | None:
    """Where a function puts its units, counted from the front; None where it is not one that says."""
    if name.startswith("conv") and name.endswith("d"):
        return out.ndim - 1 - int(name[-2])
    if name in CHANNELS_FIRST:
        return 1
    return out.ndim - 1 if name in FEATURES_LAST else None


def _is_attention(scores: Any, out: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Whether a softmax turns scores of every position with every position into weights."""
    dim = kwargs.get("dim", args[1] if len(args) > 1 else None)
    square = _is_dense(out) and out.ndim > 2 and out.shape[-1] == out.shape[-2] > 1
    return square and dim in {-1, out.ndim - 1} and isinstance(scores, Tensor)


def _is_plain(value: Any) -> bool:
    """Whether it is a tensor of numbers that can be counted: not nested, not sparse, not inside vmap or grad."""
    known = type(value) in {Tensor, nn.Parameter} and value.layout == torch.strided and not value.is_nested
    return known and not is_functorch_wrapped_tensor(value)


def _is_dense(value: Any) -> bool:
    return _is_plain(value) and value.is_floating_point()


def _tensors(value: Any) -> Iterable[Tensor]:
    several = value if isinstance(value, (tuple, list)) else (value,)
    return (part for part in several if isinstance(part, Tensor))
