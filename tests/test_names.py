from __future__ import annotations

import importlib
import pkgutil

import pytest
from results_factory import an_audit

from landscape_audit import probes
from landscape_audit.ids import name_of
from landscape_audit.names import _DOING, doing


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("sharpness.lambda_max", "the largest Hessian eigenvalue"),
        ("sharpness.lambda_3", "Hessian eigenvalue 3 from the top"),
        ("flatness.rise@0.05", "the mean rise of the loss at radius 0.05"),
        ("quantisation.rise@int8", "the rise of the loss with weights in int8"),
        ("someones.plugin_number", "someones.plugin_number"),
    ],
)
def test_an_id_has_a_name_that_people_read_or_is_its_own(key: str, name: str) -> None:
    assert name_of(key) == name


def test_everything_that_is_gated_often_has_a_name() -> None:
    audit = an_audit()
    unnamed = [key for key in (*audit.estimates(), *audit.labels()) if name_of(key) == key]
    assert all(key.startswith("instrument.") for key in unnamed)


def test_every_probe_is_told_in_words_and_no_words_are_of_none() -> None:
    found = pkgutil.iter_modules(probes.__path__, f"{probes.__name__}.")
    modules = [importlib.import_module(each.name) for each in found]
    kinds = [kind for module in modules for kind in vars(module).values() if isinstance(kind, type)]
    names = {kind.name for kind in kinds if hasattr(kind, "take") and isinstance(getattr(kind, "name", None), str)}
    assert len(names) > 20
    assert names == set(_DOING)
    assert len(set(map(doing, names))) == len(names)
