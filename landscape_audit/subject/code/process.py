"""What user code may change of this process, and how it is put back."""

from __future__ import annotations

import contextlib
import locale
import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any, TextIO

import numpy as np
import torch


class Lent:
    """A stream that user code writes to and may close without closing ours."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def close(self) -> None:
        """Nothing."""


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Random states and settings are afterwards as they were before."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - the global state is the point
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
    with torch.random.fork_rng(devices=devices), warnings.catch_warnings(), as_set(SETTINGS + SLOW_SETTINGS):
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002 - likewise


@contextlib.contextmanager
def replaced(place: Any, name: str, value: object) -> Iterator[None]:
    """While it lasts, the attribute `name` of `place` is `value`."""
    kept = getattr(place, name)
    setattr(place, name, value)
    try:
        yield
    finally:
        setattr(place, name, kept)


@contextlib.contextmanager
def as_set(settings: tuple[Setting, ...]) -> Iterator[None]:
    """Every one of `settings` is afterwards as it was before; where nothing was changed, nothing is set."""
    before = [get() for get, _ in settings]
    try:
        yield
    finally:
        for (get, put), value in zip(settings, before, strict=True):
            if _is_other(get, value):
                put(value)


def _is_other(get: Callable[[], Any], value: Any) -> bool:
    try:
        return bool(get() != value)
    except Exception:  # noqa: BLE001 - a folder that is gone, or two of torch's interfaces to one setting at odds
        return True


Setting = tuple[Callable[[], Any], Callable[[Any], object]]


def _autocast(device: str) -> Setting:
    return (
        lambda: torch.is_autocast_enabled(device),
        lambda enabled: torch.set_autocast_enabled(device, enabled),
    )


_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)  # the last by DataLoader, whose handler raises


def _handlers() -> tuple[Any, ...]:
    return tuple(signal.getsignal(number) for number in _SIGNALS)


def _set_handlers(handlers: tuple[Any, ...]) -> None:
    if threading.current_thread() is threading.main_thread():
        for number, handler in zip(_SIGNALS, handlers, strict=True):
            if handler is not None:  # None: not of Python's making, and so not for Python to put back
                signal.signal(number, handler)


SETTINGS: tuple[Setting, ...] = (
    (torch.get_default_dtype, torch.set_default_dtype),
    (torch.is_grad_enabled, torch.set_grad_enabled),
    (torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly),
    (torch.get_num_threads, torch.set_num_threads),
    (sys.getrecursionlimit, sys.setrecursionlimit),
    _autocast("cpu"),
    _autocast("cuda"),
)
"""What a forward pass may change too: read each time, which takes a microsecond or two."""

SLOW_SETTINGS: tuple[Setting, ...] = (
    (torch.get_default_device, torch.set_default_device),
    (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    (torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode),
    # Half of the smallest normal number, which is zero where such numbers are flushed.
    (lambda: not (torch.finfo(torch.float32).tiny / torch.full((1,), 2.0)).any(), torch.set_flush_denormal),
    (os.getcwd, os.chdir),
    (lambda: list(sys.argv), lambda arguments: setattr(sys, "argv", arguments)),
    (lambda: sys.excepthook, lambda hook: setattr(sys, "excepthook", hook)),
    (lambda: locale.setlocale(locale.LC_ALL), lambda name: locale.setlocale(locale.LC_ALL, name)),
    (_handlers, _set_handlers),
)
