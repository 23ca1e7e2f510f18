"""Whatever stands in audit.toml, a policy or results.json: it is understood, or one message says what is wrong.

LANDSCAPE_AUDIT_FUZZ=20 tries twenty times as many cases.
"""

from __future__ import annotations

import copy
import datetime as dt
import json
import os
import unicodedata
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hostile_audit import DETAILS, HOSTILE, an_audit_with_everything
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from results_factory import an_audit, between

from landscape_audit.checks import chosen
from landscape_audit.config_error import validated
from landscape_audit.errors import AuditError
from landscape_audit.gates.judge import judged
from landscape_audit.gates.lint import expect
from landscape_audit.gates.policy_file import read_policy
from landscape_audit.policy import Policy
from landscape_audit.report.render import html, markdown
from landscape_audit.report.view import view
from landscape_audit.results import AuditResults, Measured, read_results
from landscape_audit.spec import AuditSpec
from landscape_audit.toml_file import read_toml

TIMES = float(os.environ.get("LANDSCAPE_AUDIT_FUZZ", "1"))

VALID: dict[str, Any] = {
    "checkpoint": {"path": "model.safetensors"},
    "model": {"factory": "model.py:build", "kwargs": {"width": 8}, "prefix": "module", "rename": {"a": "b"}},
    "data": {"loader": "data.py:validation", "n_samples": 40, "batch_size": 8},
    "loss": {"name": "cross_entropy", "kwargs": {"label_smoothing": 0.1}},
    "protocol": {"preset": "quick", "seed": 3, "level": 0.9, "max_time": "10m", "max_memory": "4GiB", "budgets": {}},
    "checks": {"only": ["loss", "sharpness"], "sam": {"enabled": False, "variants": ["sam"], "seeds": 3}},
    "gates": {"loss.value": {"at_most": 3.0, "why": "a test"}},
    "waivers": [
        {
            "gate": "loss.value",
            "reason": "r",
            "approver": "a",
            "expires": dt.date(2030, 1, 1),
            "checkpoint_sha256": "0" * 64,
        }
    ],
    "on_undecided": "warn",
}
WORDS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["", "\x00", "\x1b[31m", "\u202e", "\u2028", HOSTILE, "../../etc/passwd", "é" * 3000, "only", "why"]
    ),
)
SCALARS = st.one_of(
    WORDS,
    st.booleans(),
    st.integers(),
    st.sampled_from([10**400, -(2**63), 2**64, 0, float("nan"), float("inf"), -float("inf"), -0.0, 1e308, 5e-324]),
    st.floats(),
    st.dates(),
    st.times(),
    st.datetimes(timezones=st.just(dt.UTC)),
)
TREES = st.recursive(
    SCALARS,
    lambda below: st.one_of(st.lists(below, max_size=3), st.dictionaries(WORDS, below, max_size=3)),
    max_leaves=6,
)


def cases(number: int) -> settings:
    """That many, the same ones in every run; none may take seconds."""
    return settings(
        max_examples=max(1, int(number * TIMES)),
        deadline=dt.timedelta(seconds=3),
        derandomize=True,
        database=None,
        phases=(Phase.explicit, Phase.generate, Phase.shrink),
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
    )


@st.composite
def changed(draw: st.DrawFn, whole: Any) -> Any:
    """`whole` with a few of its parts replaced, removed, or given an unknown neighbour."""
    tree = copy.deepcopy(whole)
    for _ in range(draw(st.integers(1, 3))):
        place: Any = tree
        for _ in range(draw(st.integers(0, 5))):
            steps = _steps(place)
            below = [step for step in steps if isinstance(place[step], (dict, list)) and place[step]]
            if not below:
                break
            place = place[draw(st.sampled_from(below))]
        _change(draw, place)
    return tree


def _steps(place: Any) -> list[Any]:
    return list(place) if isinstance(place, dict) else list(range(len(place)))


def _change(draw: st.DrawFn, place: Any) -> None:
    steps = _steps(place)
    how = draw(st.sampled_from(["replace", "remove", "add"]))
    if how == "add" or not steps:
        if isinstance(place, dict):
            place[draw(WORDS)] = draw(TREES)
        else:
            place.append(draw(TREES))
    elif how == "remove":
        del place[draw(st.sampled_from(steps))]
    else:
        place[draw(st.sampled_from(steps))] = draw(TREES)


@st.composite
def garbled(draw: st.DrawFn, text: str) -> bytes:
    """The bytes of `text` after an accident: cut, with bytes thrown in, doubled, in another encoding or line ending."""
    encoding = draw(st.sampled_from(["utf-8"] * 6 + ["utf-8-sig", "utf-16", "utf-32-le"]))
    content = text.replace("\n", draw(st.sampled_from(["\n", "\r\n", "\r", "\u2028"]))).encode(encoding)
    for _ in range(draw(st.integers(0, 3))):
        begin, end = sorted(draw(st.tuples(*[st.integers(0, len(content))] * 2)))
        junk = draw(
            st.one_of(
                st.binary(max_size=6),
                st.sampled_from(
                    [b"\x00", b'"', b"'''", b"[", b"]" * 3, b"=", b"\n[model]\n", b"{" * 3000, b"[" * 3000]
                ),
                st.just(content[begin : begin + 40]),
            )
        )
        content = content[:begin] + junk + content[min(end, begin + draw(st.integers(0, 30))) :]
    return content


def toml(value: Any) -> str:
    """`value` as TOML on one line; what TOML cannot say comes out as something it refuses."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, (dt.date, dt.time)):
        return value.isoformat()
    return str(value) if isinstance(value, float) else json.dumps(value)


def document(tree: Any) -> str:
    """A table as the lines of a TOML file."""
    return "".join(f"{json.dumps(key)} = {toml(value)}\n" for key, value in tree.items())


def assert_understood_or_one_message(path: Path, read: Callable[[], object], *codes: int) -> object | None:
    try:
        return read()
    except AuditError as error:
        found = error
    assert found.exit_code in codes
    assert any(name in found.what for name in (path.name, "gate '", "waiver of '", "no check '"))
    assert found.remedy
    shown = str(found).replace("\n", "")
    assert not [each for each in shown if unicodedata.category(each).startswith(("C", "Zl", "Zp"))]
    assert len(str(found)) < 13_000
    return None


def read_config(path: Path) -> AuditSpec:
    spec = validated(AuditSpec, read_toml(path), str(path))
    expect(spec.policy(), (check.id for check in chosen(spec.checks)), ["sam"])
    return spec


@cases(1100)
@given(tree=changed(VALID))
def test_any_tree_is_settings_or_one_message(tmp_path: Path, tree: Any) -> None:
    path = tmp_path / "audit.toml"
    path.write_text(document(tree), encoding="utf-8")
    assert_understood_or_one_message(path, lambda: read_config(path), 2)


@cases(900)
@given(content=garbled(document(VALID)))
def test_any_text_is_settings_or_one_message(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "audit.toml"
    path.write_bytes(content)
    assert_understood_or_one_message(path, lambda: read_config(path), 2)


@cases(300)
@given(tree=changed({name: VALID[name] for name in ("gates", "waivers", "on_undecided")}))
def test_any_policy_is_demands_or_one_message(tmp_path: Path, tree: Any) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(document(tree), encoding="utf-8")
    policy = assert_understood_or_one_message(path, lambda: read_policy(path), 2)
    if isinstance(policy, Policy):
        assert_understood_or_one_message(path, lambda: judged(STORED, policy, dt.date(2026, 1, 1)), 2)


STORED = an_audit_with_everything()
SMALL = an_audit({"sharpness": Measured(estimates={"lambda_max": between(29.0, 31.0, 33.0)}, details=DETAILS[3:4])})


@cases(60)
@given(tree=changed(json.loads(SMALL.to_json())))
def test_any_results_are_judged_and_rendered_or_one_message(tmp_path: Path, tree: Any) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps(tree, default=str), encoding="utf-8")
    stored = assert_understood_or_one_message(path, lambda: read_results(path), 4)
    if isinstance(stored, AuditResults):
        judgement = assert_understood_or_one_message(
            path, lambda: judged(stored, stored.policy, dt.date(2026, 1, 1)), 2, 4
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # matplotlib, of letters that a font lacks
            for each in (stored, judgement or stored):
                assert html(view(each))
                assert markdown(view(each))


@cases(300)
@given(content=garbled(STORED.to_json()[:4000]))
def test_any_text_is_results_or_one_message(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "results.json"
    path.write_bytes(content)
    assert_understood_or_one_message(path, lambda: read_results(path), 4)


def test_what_is_changed_is_valid_to_begin_with(tmp_path: Path) -> None:
    path = tmp_path / "audit.toml"
    path.write_text(document(VALID), encoding="utf-8")
    assert read_config(path).model_dump(exclude_unset=True).keys() == VALID.keys()
