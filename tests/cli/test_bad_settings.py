"""Mistakes in audit.toml, policies, results files and flags: one message each, which names it and says what to do."""

from __future__ import annotations

import json

import pytest
from command_line import CONFIG, assert_one_message, outcome
from hostile_audit import an_audit_with_everything

RUN = ["run", "model.safetensors", "--no-pdf"]
GATE = '[gates."loss.value"]\nat_most = 3\nwhy = "a test"\n'
WAIVER = '[[waivers]]\ngate = "loss.value"\nreason = "r"\napprover = "a"\nexpires = {}\ncheckpoint_sha256 = "{}"\n'

CONFIGS = [
    (b"\xef\xbb\xbf" + CONFIG.encode(), "audit.toml: not TOML"),
    (CONFIG.encode("utf-16"), "audit.toml: cannot be read"),
    (b"\x00" * 100, "audit.toml: not TOML"),
    (b"\xff\xfe\xfd", "audit.toml: cannot be read"),
    ("model = 3\n", "model is 3: it must be a table"),
    ("model = [1]\n", "model is [1]: it must be a table"),
    (CONFIG.replace('"code.py:build"', "3"), "model.factory is 3: it must be text"),
    (CONFIG.replace('"code.py:build"', '""'), "'' does not name any code"),
    (CONFIG.replace("[data]", 'kwargs = "width"\n[data]'), "model.kwargs is 'width': it must be a table"),
    (CONFIG.replace("[data]", 'strict = "no"\n[data]'), "model.strict is 'no': it must be true or false"),
    (CONFIG.replace("[data]", "rename = { a = 3 }\n[data]"), "model.rename.a is 3: it must be text"),
    (CONFIG.replace("[data]", '"\\u001b[31m\\u202e" = 1\n[data]'), r"unknown setting model."),
    (CONFIG.replace("[data]", '"<img src=x>" = 1\n[data]'), 'unknown setting model."<img src=x>"'),
    (CONFIG.replace("[protocol]", 'file = "x.npz"\n[protocol]'), "either a loader or a file"),
    (CONFIG.replace('loader = "code.py:batches"', ""), "either a loader or a file"),
    (CONFIG.replace("[protocol]", "n_samples = 0\n[protocol]"), "data.n_samples is 0: it must be at least 1"),
    (CONFIG.replace("[protocol]", "n_samples = 1.5\n[protocol]"), "data.n_samples is 1.5: it must be a whole number"),
    (CONFIG.replace("[protocol]", "n_samples = true\n[protocol]"), "data.n_samples is True: it must be a whole number"),
    (CONFIG.replace("[protocol]", "batch_size = -1\n[protocol]"), "data.batch_size is -1: it must be at least 1"),
    (CONFIG + "seed = 9223372036854775808\n", "protocol.seed"),
    (CONFIG + "level = nan\n", "protocol.level"),
    (CONFIG + "level = 1.0\n", "protocol.level is 1.0: it must be less than 1"),
    (CONFIG + "learning_rate = inf\n", "protocol.learning_rate is inf: it must be finite"),
    (CONFIG + "learning_rate = true\n", "protocol.learning_rate is True: it must be a number"),
    (CONFIG + "max_time = '5 minutes'\n", "protocol.max_time is '5 minutes'"),
    (CONFIG + "max_time = 5\n", "protocol.max_time is 5: it must be text"),
    (CONFIG + "max_memory = '4GB'\n", "protocol.max_memory is '4GB'"),
    (CONFIG + "device = 'tpu'\n", "protocol.device is 'tpu'"),
    (CONFIG + "device = 'cuda:99999999999999999999'\n", "protocol.device"),
    (CONFIG + "seed = 2026-01-01\n", "protocol.seed is datetime.date(2026, 1, 1): it must be a whole number"),
    (CONFIG + "[protocol.budgets]\nlanczos_stpes = 3\n", "unknown setting protocol.budgets.lanczos_stpes"),
    (CONFIG + "[checks]\nonly = 'loss'\n", "checks.only is 'loss': it must be a list"),
    (CONFIG + "[checks]\nonly = ['lsos']\n", "Did you mean 'loss'?"),
    (CONFIG + "[checks.sam]\nenabled = true\n", "enabled, but train is missing"),
    (CONFIG + "[loss]\nname = 'hinge'\n", None),
    (CONFIG + GATE.replace("3", "nan"), 'gates."loss.value".at_most is nan: it must be finite'),
    (CONFIG + GATE.replace("3", '"3"'), "at_most is '3': it must be a number"),
    (CONFIG + GATE.replace("at_most = 3", "at_most = 1\nat_least = 2"), "nothing can pass"),
    (CONFIG + GATE.replace("at_most = 3", 'at_most = 1\none_of = ["a"]'), "a gate needs"),
    (CONFIG + GATE.replace("a test", ""), "why is '': it must not be empty"),
    (CONFIG + 'on_undecided = "pass"\n', "unknown setting protocol.on_undecided"),
    (CONFIG * 2, "audit.toml: not TOML"),
]


@pytest.mark.parametrize(("content", "wanted"), CONFIGS, ids=lambda value: str(value)[-50:])
def test_a_mistake_in_audit_toml_is_named_with_its_setting(folder, content, wanted, monkeypatch, capsys):
    (folder / "audit.toml").write_bytes(content if isinstance(content, bytes) else content.encode())
    code, out, err = outcome(RUN, monkeypatch, capsys)
    assert_one_message(code, 4 if wanted in (None, "'' does not name any code") else 2, wanted or "hinge", out, err)
    assert "audit.toml" in err or "[data]" in err or "gate" in err or code == 4 or "check" in err


POLICIES = [
    ("gates = 3", "gates is 3: it must be a table"),
    ('[gates."loss.value"]\nat_most = 3', '"loss.value".why is missing'),
    ("[model]\nfactory = 'x'", "a policy holds gates and waivers only"),
    ("on_undecided = 'maybe'", "on_undecided is 'maybe'"),
    ('[gates."sharpness.lambda_mx"]\nat_most = 3\nwhy = "w"', "Did you mean 'sharpness.lambda_max'?"),
    (WAIVER.format("2030-01-01", "0" * 64), "waiver of 'loss.value': the policy has no such gate"),
    ("x" * 10**5, "not TOML"),
    ("x" * 10**7, "it has more than 1,000,000 bytes"),
    (GATE.replace("3", "1" + "0" * 5000), "not TOML: Exceeds the limit"),
    ("[require]\nn_samples = 1" + "0" * 400, "require.n_samples is 1000"),
    ("extends = []", "extends is []: it must be text"),
    ("extends = false", "extends is False: it must be text"),
    ('extends = "below.toml"\n' + GATE, "below.toml: gates is 3: it must be a table"),
    ('extends = "below.toml"\n[[waivers]]\ngate = "loss.value"', "below.toml: gates is 3"),
    (GATE + WAIVER.format("2030-01-01", "0" * 64).replace("loss.value", "require.data_"), "has no such gate"),
]


@pytest.mark.parametrize(("text", "wanted"), POLICIES, ids=lambda value: value[-40:])
def test_a_mistake_in_a_policy_is_never_a_pass(folder, text, wanted, monkeypatch, capsys):
    (folder / "results.json").write_text(an_audit_with_everything().to_json())
    (folder / "policy.toml").write_text(text)
    (folder / "below.toml").write_text("gates = 3")
    code, out, err = outcome(["gate", "results.json", "--policy", "policy.toml"], monkeypatch, capsys)
    assert_one_message(code, 2, wanted, out, err)


RESULTS = [
    (b"", "results.json: not the results of an audit"),
    (b"[" * 100_000, "results.json: not the results of an audit"),
    (b'"\\ud800"', "results.json: not the results of an audit"),
    (b"\xff\xfe", "results.json: cannot be read"),
    (b"\x00" * 100, "results.json: not the results of an audit"),
    (b'{"schema_version": "9.0"}', "results of schema version 9.0; this release reads"),
    (b'{"schema_version": "' + b"9" * 5000 + b'.0"}', "results of schema version 999"),
    (b'{"schema_version": null}', "at schema_version"),
    (b'{"verdict": {"word": "PASS", "exit_code": 0}}', "not the results of an audit"),
    (("run", "seconds", float("nan")), "at run.seconds"),
    (("verdict", "word", "<script>"), "at verdict.word"),
    (("verdict", "exit_code", "none"), "at verdict.exit_code"),
    (("checks", 0, "outcome", {"status": "measured", "estimates": 3}), "at checks.0.outcome"),
]


@pytest.mark.parametrize("command", ["gate", "report"])
@pytest.mark.parametrize(("change", "wanted"), RESULTS, ids=lambda value: str(value)[:40])
def test_what_are_no_results_is_exit_code_4_and_no_report(folder, command, change, wanted, monkeypatch, capsys):
    (folder / "results.json").write_bytes(change if isinstance(change, bytes) else changed(*change))
    code, out, err = outcome([command, "results.json"], monkeypatch, capsys)
    assert_one_message(code, 4, wanted, out, err)
    assert not (folder / "report.html").exists()


def changed(*path_and_value):
    """The JSON of good results, with one part of them replaced."""
    *path, last, value = path_and_value
    tree = json.loads(an_audit_with_everything().to_json())
    place = tree
    for step in path:
        place = place[step]
    place[last] = value
    return json.dumps(tree).encode()


FLAGS = [
    (["gate"], 2, "results"),
    (["gate", "."], 4, "results.json: cannot be read"),
    (["gate", "results.json", "--policy", "a", "--config", "b"], 4, "results.json"),
    (["report", "/dev/null"], 4, "/dev/null: cannot be read: it is a device, not a file"),
    (["checks", "sharpnes"], 2, "Did you mean 'sharpness'?"),
    (["schema", "confg"], 2, "Did you mean 'config'?"),
    (["schema", "--write", "in-the-way"], 2, "in-the-way: cannot be written"),
    (["demo", "in-the-way"], 2, "in-the-way: cannot be written to"),
    (["plan", "pickle.safetensors"], 4, "a pickle, which runs code when loaded"),
    ([*RUN, "--n-samples", "0"], 2, "data.n_samples is 0"),
    ([*RUN, "--n-samples", "many"], 2, "--n-samples"),
    ([*RUN, "--max-time", "soon"], 2, "protocol.max_time is 'soon'"),
    ([*RUN, "--learning-rate", "nan"], 2, "protocol.learning_rate is nan"),
    ([*RUN, "--model-arg", "width=3"], 4, "unexpected keyword argument 'width'"),
    ([*RUN, "--out", "x" * 300], 2, "cannot be written to: File name too long"),
    ([*RUN, "-c", "."], 2, ".: cannot be read"),
    ([*RUN, "--policy", "audit.toml"], 2, "a policy holds gates and waivers only"),
    ([*RUN, "--data", "model.safetensors"], 4, "has nothing that is known to be targets"),
    ([*RUN, "--device", "cuda:99999999999999999999"], 2, "protocol.device"),
]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(("arguments", "expected", "wanted"), FLAGS, ids=lambda value: str(value)[:60])
def test_a_wrong_command_line_is_told_what_to_do(arguments, expected, wanted, monkeypatch, capsys):
    code, out, err = outcome(arguments, monkeypatch, capsys)
    assert_one_message(code, expected, wanted, out, err)
