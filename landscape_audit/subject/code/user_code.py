"""The user's own Python: found, run, and kept from leaving traces."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from landscape_audit.errors import AuditError
from landscape_audit.subject.code.lacking import setting_for
from landscape_audit.subject.code.process import SETTINGS, Lent, as_set, undisturbed
from landscape_audit.text import described, did_you_mean, words

_PACKAGE = Path(__file__).resolve().parents[2]
_FORMS = "Write `package.module:name` or `path/to/file.py:name`."
_SMALLER = "Build or read less at once, or use a machine with more memory."


class UserCode:
    """The code that one audit runs. Every file is run once; imports beside it work.

    While it runs, what it prints goes to stderr and what it raises becomes an `AuditError` that names its line.
    Afterwards nothing of it is left in `sys.path` or `sys.modules`: two audits in one process may each bring their
    own `layers.py`.
    """

    def __init__(self, base: Path) -> None:
        self.base = base.resolve()
        self._path: list[str] = []  # nothing beside the config is importable until it names code
        self._modules: dict[str, ModuleType] = {}
        self._files: dict[Path, ModuleType] = {}

    def resolve(self, spec: str, error: type[AuditError]) -> Callable[..., Any]:
        """What `package.module:name` or `path/to/file.py:name` (from the base folder) names: something callable."""
        found = self.find(spec, error)
        if not callable(found):
            raise error(
                f"{spec}: is of type {type(found).__name__}, which cannot be called.", remedy="Name a function."
            )
        return found  # type: ignore[no-any-return]

    def find(self, spec: str, error: type[AuditError]) -> Any:
        """What it names, whatever that is."""
        place, colon, name = spec.rpartition(":")
        if not (colon and place and name):
            raise error(f"'{spec}' does not name any code.", remedy=_FORMS)
        self._path = list(dict.fromkeys([*self._path, str(self.base)]))
        with self.running(spec, error):
            module = self._file(spec, place, error) if place.endswith(".py") else self._module(spec, place, error)
            found = getattr(module, name, None)
        if found is None:
            known = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
            raise error(
                f"{spec}: {place} has no '{name}'.",
                remedy=did_you_mean(name, known) if known else f"It has no function: define {name} in it.",
            )
        return found

    def sources(self) -> dict[str, str]:
        """SHA-256 of every file of the user's own that was run, by its path from the base folder."""
        origins = (getattr(module, "__file__", None) for module in self._modules.values())
        files = {*self._files, *(Path(origin).resolve() for origin in origins if origin)}
        here = sorted(file for file in files if file.is_file())
        return {self._shown(str(file)): hashlib.sha256(file.read_bytes()).hexdigest() for file in here}

    @contextlib.contextmanager
    def running(self, what: str, error: type[AuditError]) -> Iterator[None]:
        """Run user code once, to import it, to build a model or to read data: global state is restored afterwards."""
        with undisturbed(), self.lent(what, error):
            try:
                yield
            except (MemoryError, RuntimeError) as raised:
                if not is_out_of_memory(raised):
                    raise
                raise error(f"{what}: out of memory: {described(raised)}.", remedy=_SMALLER) from raised

    @contextlib.contextmanager
    def lent(self, what: str, error: type[AuditError]) -> Iterator[None]:
        """Run user code many times over, as a forward pass is: as `running`, but cheap, with random states untouched.

        Running out of memory is left to whoever can do with less.
        """
        stderr: Any = Lent(sys.stderr)
        with (
            self._importable(),
            as_set(SETTINGS),
            contextlib.redirect_stderr(stderr),
            contextlib.redirect_stdout(stderr),
        ):
            try:
                yield
            except (AuditError, KeyboardInterrupt):
                raise
            except BaseException as raised:  # SystemExit, and what else a user may derive from it
                if is_out_of_memory(raised):
                    raise
                raise self._told(what, raised, error) from raised

    def _told(self, what: str, raised: BaseException, error: type[AuditError]) -> AuditError:
        try:
            remedy = (not self._frames(raised) and setting_for(what, raised, error)) or _remedy(raised)
            return error(f"{what}: raised {described(raised)}{self._where(raised)}.", remedy=remedy)
        except RuntimeError as late:  # DataLoader's signal handler, which raises wherever we are when a worker dies
            return self._told(what, late, error)

    def _file(self, spec: str, place: str, error: type[AuditError]) -> ModuleType:
        path = (self.base / place).resolve()
        if not path.is_file():
            found = "is a folder" if path.is_dir() else "no such file"
            raise error(f"{spec}: {found}: {path}.", remedy="The path starts at the folder of audit.toml.")
        if path not in self._files:
            self._files[path] = self._run(path)
        return self._files[path]

    def _run(self, path: Path) -> ModuleType:
        sys.path.insert(0, str(path.parent))
        if (path.parent / "__init__.py").is_file() and path.name != "__init__.py":
            module = importlib.import_module(f"{self._package(path.parent)}.{path.stem}")
            sys.modules.setdefault(path.stem, module)
            return module
        # Under its own name, so that a neighbour's `import model` finds this module.
        return _executed(self._free(path.stem), path)

    def _package(self, folder: Path) -> str:
        """The dotted name of a package's folder, its outermost package imported: relative imports in it work."""
        inner = []
        while (folder.parent / "__init__.py").is_file():
            inner.append(folder.name)
            folder = folder.parent
        found = sys.modules.get(folder.name)
        if found is None or list(getattr(found, "__path__", ())) != [str(folder)]:
            found = _executed(self._free(folder.name), folder / "__init__.py")
        return ".".join([found.__name__, *reversed(inner)])

    def _free(self, name: str) -> str:
        taken = name in sys.modules or name in sys.stdlib_module_names
        return f"_audited_{len(self._files)}_{name}" if taken else name

    def _module(self, spec: str, place: str, error: type[AuditError]) -> ModuleType:
        try:
            return importlib.import_module(place)
        except ModuleNotFoundError as missing:
            if missing.name is None or not f"{place}.".startswith(f"{missing.name}."):
                raise
            raise error(
                f"{spec}: no module '{missing.name}'.", remedy=f"Install it, or put it into {self.base}. {_FORMS}"
            ) from None

    @contextlib.contextmanager
    def _importable(self) -> Iterator[None]:
        path, modules, unwritten = sys.path.copy(), sys.modules.copy(), sys.dont_write_bytecode
        sys.dont_write_bytecode = True  # no __pycache__ beside the user's files
        sys.path[:0] = self._path
        sys.modules.update(self._modules)
        try:
            yield
        finally:
            self._path = list(dict.fromkeys([*(folder for folder in sys.path if folder not in path), *self._path]))
            sys.path[:] = path
            sys.dont_write_bytecode = unwritten
            self._withdraw(modules)

    def _withdraw(self, before: dict[str, ModuleType]) -> None:
        if len(sys.modules) != len(before) + sum(name not in before for name in self._modules):
            arrived = {name: module for name, module in sys.modules.items() if name not in before}
            self._modules |= {name: module for name, module in arrived.items() if self._is_ours(module)}
        for name in self._modules:
            if name in before:
                sys.modules[name] = before[name]
            else:
                sys.modules.pop(name, None)

    def _is_ours(self, module: ModuleType) -> bool:
        origin = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", ())), None)
        return origin is not None and self._is_here(origin)

    def _is_here(self, file: str) -> bool:
        """Whether a file is the user's: in one of their folders, and not in an installation further down there."""
        path = Path(file).resolve()
        ours = {self.base, *(found.parent for found in self._files), *map(Path, self._path)}
        around = [folder for folder in {*ours, *map(Path, filter(None, sys.path))} if path.is_relative_to(folder)]
        return not _is_internal(file) and max(around, key=lambda folder: len(folder.parts), default=None) in ours

    def _where(self, raised: BaseException) -> str:
        if isinstance(raised, SyntaxError) and raised.filename:
            return f" ({self._shown(raised.filename)}, line {raised.lineno})"
        frames = [f for f in traceback.extract_tb(raised.__traceback__) if not _is_internal(f.filename)]
        ours = self._frames(raised) or frames
        return f" ({self._shown(ours[-1].filename)}, line {ours[-1].lineno})" if ours else ""

    def _frames(self, raised: BaseException) -> list[traceback.FrameSummary]:
        """Where it went through the user's own files; nowhere, where the call that failed is the audit's."""
        return [frame for frame in traceback.extract_tb(raised.__traceback__) if self._is_here(frame.filename)]

    def _shown(self, file: str) -> str:
        path = Path(file).resolve()
        return str(path.relative_to(self.base)) if path.is_relative_to(self.base) else str(path)


def _executed(name: str, path: Path) -> ModuleType:
    inside = [str(path.parent)] if path.name == "__init__.py" else None
    found = importlib.util.spec_from_file_location(name, path, submodule_search_locations=inside)
    assert found is not None  # noqa: S101 - a path that ends in .py always has a loader
    assert found.loader is not None  # noqa: S101 - likewise
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module
    try:
        found.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def is_out_of_memory(raised: BaseException) -> bool:
    """Whether a smaller batch could have worked."""
    return isinstance(raised, (torch.OutOfMemoryError, MemoryError)) or "can't allocate memory" in words(raised)


def _is_internal(file: str) -> bool:
    return file.startswith("<") or Path(file).resolve().is_relative_to(_PACKAGE)


def _remedy(raised: BaseException) -> str:
    if "DataLoader worker" in words(raised):
        return "With num_workers=0 it says more, and no worker can be killed for want of memory."
    return "LANDSCAPE_AUDIT_TRACEBACK=1 shows the whole way to it."
