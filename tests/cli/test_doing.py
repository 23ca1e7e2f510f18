from __future__ import annotations

import importlib
import pkgutil

from landscape_audit import probes
from landscape_audit.cli.doing import _DOING, doing


def test_every_probe_is_told_in_words_and_no_words_are_of_none() -> None:
    found = pkgutil.iter_modules(probes.__path__, f"{probes.__name__}.")
    modules = [importlib.import_module(each.name) for each in found]
    kinds = [kind for module in modules for kind in vars(module).values() if isinstance(kind, type)]
    names = {kind.name for kind in kinds if hasattr(kind, "take") and isinstance(getattr(kind, "name", None), str)}
    assert len(names) > 20
    assert names == set(_DOING)
    assert len(set(map(doing, names))) == len(names)
