"""Signals end an audit, but never in the middle of an import that would leave half a module behind."""

from __future__ import annotations

import signal
import time

import pytest

from landscape_audit.interruption import EXIT_CODES, listen, signal_of

BODY = """
import signal
signal.raise_signal(signal.{name})
sum(range(1000))
done.append(1)
"""


@pytest.fixture(autouse=True)
def handlers():
    before = {name: signal.getsignal(getattr(signal, name)) for name in EXIT_CODES}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    listen()
    yield
    for name, handler in before.items():
        signal.signal(getattr(signal, name), handler)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("module", ["torch.utils._pytree", "landscape_audit.measure"])
def test_a_signal_while_a_module_is_imported_counts_once_that_is_done(name, module):
    done = []
    exec(BODY.format(name=name), {"__name__": module, "done": done})  # noqa: S102 - as the import system does
    assert done
    with pytest.raises(KeyboardInterrupt) as stopped:
        time.sleep(5)
    assert signal_of(stopped.value) == name


@pytest.mark.parametrize("module", ["data", "torchmetrics"])
def test_a_signal_in_any_other_module_counts_at_once_as_its_body_may_run_for_ever(module):
    done = []
    with pytest.raises(KeyboardInterrupt):
        exec(BODY.format(name="SIGINT"), {"__name__": module, "done": done})  # noqa: S102 - as the import system does
    assert not done


def test_what_is_ignored_stays_ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    listen()
    signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
