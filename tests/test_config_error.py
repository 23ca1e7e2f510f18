from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from landscape_audit.config_error import validated
from landscape_audit.errors import AuditError
from landscape_audit.gates.policy_file import effective, layers, read_policy
from landscape_audit.spec import AuditSpec
from landscape_audit.toml_file import read_toml

WHOLE = """
[model]
factory = "model.py:build"
[data]
file = "digits.npz"
"""
GATE = '[gates."sharpness.lambda_max"]\n'
WAIVER = '[[waivers]]\ngate = "a.b"\nreason = "r"\napprover = "A"\nexpires = 2026-12-31\n'
SHA = f'checkpoint_sha256 = "{"a" * 64}"\n'


def message(call: Any, *arguments: Any) -> str:
    with pytest.raises(AuditError) as raised:
        call(*arguments)
    assert raised.value.exit_code == 2
    return str(raised.value)


def config_message(tmp_path: Path, text: str) -> str:
    path = tmp_path / "audit.toml"
    path.write_text(text, encoding="utf-8")
    return message(lambda: validated(AuditSpec, read_toml(path), "audit.toml"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "audit.toml: model is missing."),
        ('[modl]\nfactory = "m:f"\n' + WHOLE, "audit.toml: unknown setting modl.\n  Did you mean 'model'?"),
        (WHOLE + "[protocol]\nsed = 1", "unknown setting protocol.sed.\n  Did you mean 'seed'?"),
        (WHOLE + "[protocol]\nseed = 1.5", "protocol.seed is 1.5: it must be a whole number."),
        (WHOLE + '[protocol]\nseed = "one"', "protocol.seed is 'one': it must be a whole number."),
        (WHOLE + "[protocol]\nseed = true", "protocol.seed is True: it must be a whole number."),
        (WHOLE + '[protocol]\nseed = "1"', "protocol.seed is '1': it must be a whole number."),
        (WHOLE + "[protocol]\nlearning_rate = true", "protocol.learning_rate is True: it must be a number."),
        (WHOLE + "[protocol.budgets]\nflatness_sigmas = []", "flatness_sigmas is []: it must not be empty."),
        (WHOLE + "[protocol.budgets]\nflatness_sigmas = [0]", "flatness_sigmas[0] is 0: it must be at least 1e-06"),
        (WHOLE.replace("[data]", 'strict = "no"\n[data]'), "model.strict is 'no': it must be true or false."),
        (WHOLE + "[protocol]\nseed = -1", "protocol.seed is -1: it must be at least 0."),
        (WHOLE + "[protocol]\nlevel = 1.0", "protocol.level is 1.0: it must be less than 1"),
        (WHOLE + "[protocol]\nmateriality = nan", "protocol.materiality is nan: it must be"),
        (WHOLE + '[protocol]\npreset = "fast"', "it must be 'quick', 'standard' or 'thorough'."),
        (WHOLE + '[protocol]\ndevice = "gpu"', "protocol.device is 'gpu': it is not of the form"),
        (WHOLE + "[protocol.budgets]\ntop = 3", "unknown setting protocol.budgets.top.\n  Did you mean 'top_k'?"),
        (WHOLE + "[protocol.budgets]\ntop_k = 0", "protocol.budgets.top_k is 0: it must be at least 1."),
        (WHOLE + "[protocol.budgets]\nflatness_sigmas = 0.1", "flatness_sigmas is 0.1: it must be a list"),
        (WHOLE + '[protocol.budgets]\nflatness_sigmas = [0.1, "x"]', "flatness_sigmas[1] is 'x': it must be a number."),
        (WHOLE.replace("[data]", "strict = 3\n[data]"), "model.strict is 3: it must be true or false."),
        (WHOLE.replace("[data]", "kwargs = 3\n[data]"), "model.kwargs is 3: it must be a table."),
        ('data = 3\n[model]\nfactory = "m:f"', "data is 3: it must be a table."),
        (WHOLE.replace('"digits.npz"', "3"), "data.file is 3: it must be a path, in quotes."),
        (WHOLE.replace('"model.py:build"', "3"), "model.factory is 3: it must be text, in quotes."),
        (WHOLE + "[checks]\nskip = 'trace'", "checks.skip is 'trace': it must be a list"),
        (WHOLE + GATE + 'at_mots = 1\nwhy = "w"', "gates.\"sharpness.lambda_max\".at_mots.\n  Did you mean 'at_most'?"),
        ("[model", "audit.toml: not TOML: "),
    ],
)
def test_a_bad_config_is_one_sentence_naming_setting_value_and_remedy(tmp_path: Path, text: str, says: str) -> None:
    found = config_message(tmp_path, text)
    assert says in found
    assert "pydantic" not in found


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (GATE + "at_most = 1", 'gates."sharpness.lambda_max".why is missing. A limit without its reason'),
        (GATE + 'at_most = 1\nwhy = ""', "gates.\"sharpness.lambda_max\".why is '': it must not be empty."),
        (GATE + 'at_most = "1"\nwhy = "w"', "at_most is '1': it must be a number."),
        (GATE + 'at_most = true\nwhy = "w"', "at_most is True: it must be a number."),
        (GATE + 'at_most = inf\nwhy = "w"', "at_most is inf: it must be finite."),
        (GATE + 'why = "w"', 'gates."sharpness.lambda_max": a gate needs at_most, at_least, between'),
        (GATE + 'at_most = 1\none_of = ["a"]\nwhy = "w"', "a gate needs at_most, at_least, between"),
        (GATE + 'at_most = 1\nat_least = 2\nwhy = "w"', "nothing can pass"),
        (GATE + 'at_most = 1\nlevel = "fatal"\nwhy = "w"', "it must be 'off', 'warn' or 'error'."),
        ('[gates.sharpness.lambda_max]\nat_most = 1\nwhy = "w"', 'Write  [gates."sharpness.lambda_max"]'),
        ("on_undecided = 3", "on_undecided is 3: it must be 'pass', 'warn' or 'error'."),
        (GATE + 'between = [2, 1]\nwhy = "w"', "nothing can pass"),
        (GATE + 'between = [1, 2]\nat_most = 3\nwhy = "w"', "between says at_least and at_most at once"),
        (
            GATE + 'no_worse_than_baseline = -0.1\nwhy = "w"',
            "relative is -0.1: it must be at least 0",
        ),
        (GATE + 'no_worse_than_baseline = {}\nwhy = "w"', "an allowance is a number (a share of the baseline)"),
        (GATE + 'one_of = []\nwhy = "w"', "one_of is []: it must not be empty."),
        (GATE + 'at_most = 1\nconfidence = 95\nwhy = "w"', "confidence is 95: it must be less than 1."),
        ("[require]\nn_sample = 3", "unknown setting require.n_sample.\n  Did you mean 'n_samples'?"),
        ("extends = 3", "extends is 3: it must be text, in quotes."),
        ('extends = "recomended"', "extends 'recomended': no such policy, and no file"),
        ('extends = "policy.toml"', "extends leads round in a circle"),
        ("waivers = 3", "waivers is 3: it must be a list"),
        ("waivers = [3]", "waivers: 3 is no waiver, which is a table"),
        (WHOLE, "a policy holds gates and waivers only, and this has [data].\n  If it is an audit.toml"),
    ],
)
def test_a_bad_policy_is_one_sentence_naming_setting_value_and_remedy(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(text, encoding="utf-8")
    assert says in message(read_policy, path)


def test_a_policy_file_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text('on_undecided = "warn"\n' + GATE + 'at_least = 1\nat_most = 50\nwhy = "w"\n' + WAIVER + SHA)
    policy = read_policy(path)
    assert (policy.on_undecided, policy.waivers[0].gate) == ("warn", "a.b")
    assert (policy.gates["sharpness.lambda_max"].at_least, policy.gates["sharpness.lambda_max"].at_most) == (1, 50)


def test_a_config_gives_the_policy_that_the_same_tables_give_alone(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(GATE + 'at_most = 50\nwhy = "w"', encoding="utf-8")
    whole = read_toml(path) | {"model": {"factory": "m:f"}, "data": {"file": "d.npz"}}
    assert effective(layers(whole, path), "policy.toml") == read_policy(path)
    assert validated(AuditSpec, whole, "audit.toml").policy().gates == read_policy(path).gates


def test_hostile_settings_reach_no_terminal_as_they_are(tmp_path: Path) -> None:
    found = config_message(tmp_path, WHOLE + '"\\u001b[31m" = 1')
    assert "\x1b" not in found
    assert "\\x1b" in found
