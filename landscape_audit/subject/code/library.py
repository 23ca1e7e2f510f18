"""An installed library lent to the audit: no network, no output, no global state left changed, one kind of error."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import socket
import sys
import warnings
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import NoReturn

from landscape_audit.errors import AuditError, CapabilityError, ModelError
from landscape_audit.subject.code.process import replaced, undisturbed
from landscape_audit.subject.code.user_code import is_out_of_memory
from landscape_audit.text import described

_SMALLER = "Audit it where there is more memory."
_UNFIT = "Are these the settings that the checkpoint was saved with, and is the library as new as they are?"
_OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")


def extra(name: str) -> ModuleType:
    """The optional library of that name, or an error that says what to install."""
    try:
        with quiet():
            return importlib.import_module(name)
    except ModuleNotFoundError as missing:
        if missing.name == name:
            raise CapabilityError(
                f"{name}: is not installed.",
                remedy=f"pip install {name}  or, from a checkout of landscape-audit,  pip install '.[{name}]'",
            ) from None
        raise _unimportable(name, missing) from None
    except Exception as broken:  # noqa: BLE001 - importing an installed library may raise anything
        raise _unimportable(name, broken) from None


def _unimportable(name: str, broken: BaseException) -> CapabilityError:
    # transformers and timm import torchvision, and hide what it raised behind an error of their own.
    if not _torchvision_fits():
        return CapabilityError(
            f"{name}: torch and torchvision are builds for different devices or versions.",
            remedy="Install both from the same index, in one command, or uninstall torchvision, which only models of "
            "timm and torchvision need.",
        )
    return CapabilityError(
        f"{name}: what it needs is installed, but raised {described(broken)} when imported.",
        remedy=f"Mend the installation until this works:  python -c 'import {name}'",
    )


def _torchvision_fits() -> bool:
    try:
        with quiet():
            importlib.import_module("torchvision")
    except ModuleNotFoundError:
        return True
    except Exception:  # noqa: BLE001 - as above
        return False
    return True


@contextlib.contextmanager
def lent(what: str) -> Iterator[None]:
    """Run a library's code: quietly, without network, global state restored, what it raises told as of `what`."""
    with undisturbed(), offline(), quiet():
        try:
            yield
        except (AuditError, KeyboardInterrupt):
            raise
        except BaseException as raised:
            if isinstance(raised, ImportError):
                raise _unimportable(what, raised) from None
            if is_out_of_memory(raised):
                raise ModelError(f"{what}: there is not enough memory to build this model.", remedy=_SMALLER) from None
            raise ModelError(f"{what}: raised {described(raised)}.", remedy=_UNFIT) from raised


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """No word of a library on stdout or stderr, and no warning: what matters to the audit, the audit says."""
    level = logging.root.manager.disable
    with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            logging.disable(level)


@contextlib.contextmanager
def offline() -> Iterator[None]:
    """No connection from Python code, and the hub's client told so, whose error is then a clear one."""
    hub = os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}
    with contextlib.ExitStack() as stack:
        stack.enter_context(_environment(dict.fromkeys(_OFFLINE, "1")))
        stack.enter_context(replaced(socket.socket, "connect", _refused))
        stack.enter_context(replaced(socket, "getaddrinfo", _refused))
        stack.callback(_tell_hub, offline=hub)
        _tell_hub(offline=True)
        yield


@contextlib.contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """While it lasts, the environment has these values; afterwards it is as it was."""
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _tell_hub(*, offline: bool) -> None:
    # It reads the environment once, when it is imported, which may have been before or in between.
    if client := sys.modules.get("huggingface_hub.constants"):
        vars(client)["HF_HUB_OFFLINE"] = offline


def _refused(*_: object, **__: object) -> NoReturn:
    message = "asked for a network connection, and an audit opens none"
    raise ConnectionError(message)
