"""What cannot be audited gets one message that names the thing, the right exit code, and leaves nothing behind."""

from __future__ import annotations

import pytest
from command_line import CONFIG, assert_one_message, outcome

GATE = '[gates."loss.value"]\nat_most = 3\nwhy = "a test"\n'


RUN = ["run", "model.safetensors", "--no-pdf"]


@pytest.mark.parametrize(
    ("name", "expected", "wanted"),
    [
        ("nothing.safetensors", 4, "nothing.safetensors: no such file"),
        ("model.safetensors", 2, "`landscape-audit init model.safetensors` writes one"),
    ],
)
def test_without_a_config_a_checkpoint_is_first_looked_for(folder, name, expected, wanted, monkeypatch, capsys):
    (folder / "audit.toml").unlink()
    code, out, err = outcome(["run", name], monkeypatch, capsys)
    assert_one_message(code, expected, wanted, out, err)


def test_every_loss_of_a_name_is_listed_by_help(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "200")
    _, out, _ = outcome(["run", "--help"], monkeypatch, capsys)
    assert not [name for name in ("causal_lm", "masked_lm", "model,", "mse") if name not in out]


UNUSABLE = [
    (["run", "nothing.safetensors", "-c", "audit.toml"], "nothing.safetensors: no such file"),
    (["run", ".", "-c", "audit.toml"], "is a folder with 9 checkpoints in it"),
    (["run", "pickle.safetensors"], "a pickle, which runs code when loaded"),
    (["run", "cut.safetensors"], "is cut short"),
    (["run", "empty.safetensors"], "is empty"),
    (["run", "page.safetensors"], "page.safetensors"),
    (["run", "pointer.safetensors"], "is a Git LFS pointer"),
    (["run", "inf.safetensors"], "'0.bias' has 8"),
    (["run", "hostile.safetensors"], r"x\x1b[31m<script>{{7*7}}\u202e"),
    (["run", "less.safetensors"], "no tensor '2.bias'"),
    ([*RUN, "--model", "code.py:raises"], "raised ValueError: no weights today (code.py, line 7)"),
    ([*RUN, "--model", "code.py:wrong"], "returned int, not a torch.nn.Module"),
    ([*RUN, "--model", "code.py:exits"], "raised SystemExit: 7"),
    ([*RUN, "--model", "code.py:own"], "code.py:own: raised Own: mine"),
    ([*RUN, "--model", "code.py:speechless"], "code.py:speechless: raised Speechless"),
    ([*RUN, "--data", "code.py:own"], "code.py:own: raised Own: mine"),
    ([*RUN, "--model", "code.py:frozen"], "code.py:frozen"),
    ([*RUN, "--model", "code.py:narrow"], "(5, 6)"),
    ([*RUN, "--model", "code.py:renamed"], "body.0.weight"),
    ([*RUN, "--model", "code.py:buidl"], "Did you mean 'build'?"),
    ([*RUN, "--model", "nowhere.py:build"], "no such file"),
    ([*RUN, "--model", "no.such.package:build"], "no module 'no'"),
    ([*RUN, "--model", "build"], "does not name any code"),
    ([*RUN, "--data", "code.py:empty"], "has no examples"),
    ([*RUN, "--data", "code.py:shuffled"], "the second pass gave other batches than the first"),
    ([*RUN, "--data", "code.py:midway"], "raised OSError: disk gone"),
    ([*RUN, "--data", "code.py:holes"], "240 numbers of 240 in the inputs not finite"),
    ([*RUN, "--data", "code.py:classes"], "a target is 51, but the model has 3 classes"),
    ([*RUN, "--data", "code.py:lengths"], "code.py:lengths"),
    ([*RUN, "--data", "code.py:words"], "code.py:words"),
    ([*RUN, "--data", "code.py:number"], "returned int, which cannot be iterated"),
    ([*RUN, "--data", "nothing.npz"], "no such file"),
    ([*RUN, "--data", "junk.npz"], "junk.npz: cannot be read as .npz"),
    ([*RUN, "--loss", "crossentropy"], "Did you mean 'cross_entropy'?"),
    ([*RUN, "--loss", "code.py:nan_loss"], "the loss of batch 0 is nan"),
    ([*RUN, "--loss", "code.py:constant"], "does not depend on any trainable parameter"),
    ([*RUN, "--loss", "code.py:broken"], "raised KeyError"),
    ([*RUN, "--loss", "mse"], "mse"),
    (["gate", "not.json"], "not.json: not the results of an audit"),
    (["gate", "code.py"], "code.py: not the results of an audit"),
    (["report", "nothing.json"], "nothing.json: cannot be read"),
]

MISTAKES = [
    ([*RUN, "--out", "in-the-way"], "in-the-way: cannot be written to"),
    ([*RUN, "--out", "older"], "older/report.html: is in the way"),
    ([*RUN, "--out", "/proc/audit"], "/proc/audit: cannot be written to"),
    ([*RUN, "--device", "cuda:63"], "device cuda:63"),
    ([*RUN, "--device", "gpu"], "protocol.device is 'gpu'"),
    ([*RUN, "--dtype", "float16"], "protocol.dtype is 'float16'"),
    ([*RUN, "--preset", "fast"], "protocol.preset is 'fast'"),
    ([*RUN, "--seed", "-1"], "protocol.seed"),
    ([*RUN, "--only", "sharpnes"], "Did you mean 'sharpness'?"),
    ([*RUN, "--model-arg", "width"], "is not NAME=VALUE"),
    ([*RUN, "--bogus"], "--bogus"),
    ([*RUN, "--policy", "nothing.toml"], "nothing.toml: no such file"),
    ([*RUN, "-c", "nothing.toml"], "nothing.toml: no such file"),
    (["walk"], "walk"),
]

CONFIGS = [
    ("x = [", "not TOML"),
    ("x = " + "[" * 5000, "nested too deeply"),
    ("", "model"),
    (CONFIG.replace("factory", "factroy"), "Did you mean 'factory'?"),
    (CONFIG.replace("[protocol]", "[protocl]"), "Did you mean 'protocol'?"),
    (CONFIG.replace('"quick"', "3"), "protocol.preset"),
    (CONFIG + "level = 2.0\n", "protocol.level"),
    (CONFIG + "[data.x]\ny = 1\n", "data.x"),
    (CONFIG + GATE.replace('why = "a test"\n', ""), "why"),
    (CONFIG + GATE.replace("at_most", "at_mots"), "Did you mean 'at_most'?"),
    (CONFIG + GATE.replace('"loss.value"', "loss.value"), '"loss.value"'),
    (CONFIG + GATE.replace("at_most = 3\n", ""), "at_most"),
    (CONFIG + GATE.replace("loss.value", "lost.value"), "Did you mean 'loss'?"),
]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "wanted"), UNUSABLE, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_an_unusable_subject_is_exit_code_4(arguments, wanted, monkeypatch, capsys):
    code, out, err = outcome(arguments, monkeypatch, capsys)
    assert_one_message(code, 4, wanted, out, err)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "wanted"), MISTAKES, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_a_mistake_on_the_command_line_is_exit_code_2(arguments, wanted, monkeypatch, capsys):
    code, out, err = outcome(arguments, monkeypatch, capsys)
    assert_one_message(code, 2, wanted, out, err)


@pytest.mark.parametrize(("text", "wanted"), CONFIGS)
def test_a_mistake_in_audit_toml_is_exit_code_2(folder, text, wanted, monkeypatch, capsys):
    (folder / "audit.toml").write_text(text)
    code, out, err = outcome(RUN, monkeypatch, capsys)
    assert_one_message(code, 2, wanted, out, err)
    assert "audit.toml" in err or "gate" in err


def test_without_a_config_the_missing_flags_are_named(folder, monkeypatch, capsys):
    (folder / "audit.toml").unlink()
    code, out, err = outcome(RUN, monkeypatch, capsys)
    assert_one_message(code, 2, "--model and --data: not given", out, err)


def test_a_check_that_crashes_is_exit_code_5_and_keeps_the_rest(folder, monkeypatch, capsys):
    from landscape_audit.probes.walks import RandomPlane

    monkeypatch.setattr(RandomPlane, "take", lambda *_: 1 / 0)
    code, _, err = outcome([*RUN, "--quiet"], monkeypatch, capsys)
    assert code == 5
    assert err.splitlines()[-1].startswith(
        "landscape-audit: ERROR  0 passed, 0 failed, 0 undecided, 1 crashed  (exit 5)"
    )
    assert "not whole" in (folder / "audit-model/report.html").read_text()


@pytest.mark.usefixtures("folder")
def test_a_bug_of_ours_is_exit_code_5_and_no_traceback(monkeypatch, capsys):
    monkeypatch.setattr("landscape_audit.measure.audit", lambda *_, **__: {}["missing"])
    code, out, err = outcome(RUN, monkeypatch, capsys)
    assert_one_message(code, 5, "KeyError", out, err)
