"""`doctor` says whether an audit would start, step by step, and everything that is in its way at once."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from command_line import CONFIG, outcome
from declared import GPT2, save, write_config

GATE = '[gates."{}"]\nat_most = 3\nwhy = "a test"\n'
MACHINE = ["versions", "PDF", "fonts"]
STEPS = [
    *MACHINE,
    "config",
    "gates",
    "output",
    "device",
    "checkpoint",
    "model",
    "weights",
    "data",
    "loss",
    "gradient",
    "curvature",
    "plan",
    "memory",
]
MORE = """
import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset
from code import X, Y, build

def endless():
    while True:
        yield X[:20], Y[:20]
def many(): return TensorDataset(X.repeat(10, 1), Y.repeat(10))
def late():
    yield X[:20], Y[:20]
    yield X[20:], Y[20:]
    raise OSError("the third batch was read")
class Stream(IterableDataset):
    def __iter__(self): return iter(zip(X, Y))
def stream(): return DataLoader(Stream(), batch_size=20)
def seeded_shuffle():
    generator = torch.Generator().manual_seed(0)
    return DataLoader(TensorDataset(X, Y), batch_size=8, shuffle=True, generator=generator)

class Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x): return x * 1.0
    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad): return grad
def once():
    model = build()
    forward = model[2].forward
    model[2].forward = lambda x: Once.apply(forward(x))
    return model
"""


def steps_of(out):
    """What stands before each step, in order."""
    return [(line[0], line[2:].split()[0]) for line in out.splitlines() if line[0] in "✓!✗–"]


def words_of(out, step):
    found = re.search(rf"^. {step} (.*(?:\n  .*)*)", out, re.MULTILINE)
    assert found, out
    return found[1].strip()


@pytest.fixture
def project(folder):
    (folder / "more.py").write_text(MORE.replace("from code import", "from code_of_mine import"))
    (folder / "code_of_mine.py").write_text((folder / "code.py").read_text())
    return folder


def with_config(folder, **replaced):
    text = CONFIG
    for old, new in replaced.items():
        text = text.replace({"model": "code.py:build", "data": "code.py:batches"}[old], new)
    (folder / "audit.toml").write_text(text)


@pytest.mark.usefixtures("folder")
def test_a_doctor_ticks_off_every_step_of_an_audit_that_would_start(monkeypatch, capsys):
    before = sorted(Path().rglob("*"))
    code, out, err = outcome(["doctor", "model.safetensors"], monkeypatch, capsys)
    assert code == 0, out
    assert steps_of(out) == [("✓", step) for step in STEPS]
    assert "Sequential with 83 trainable parameters" in words_of(out, "model")
    assert "40 examples from code.py:batches, its first 2 batches of 2" in words_of(out, "data")
    assert re.search(r"about \d+ gradients of the whole sample of up to 40 examples", words_of(out, "plan"))
    assert err == ""
    assert [path for path in sorted(Path().rglob("*")) if "__pycache__" not in path.parts] == before


@pytest.mark.usefixtures("folder")
def test_the_folder_that_is_tried_is_the_one_that_a_run_writes_to(monkeypatch, capsys):
    words = words_of(outcome(["doctor", "."], monkeypatch, capsys)[1], "output")
    assert words == f"audit-{Path.cwd().stem} can be written to"


def test_without_an_audit_to_look_at_a_doctor_looks_at_the_machine(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code, out, _ = outcome(["doctor"], monkeypatch, capsys)
    assert code == 0
    assert steps_of(out) == [("✓", step) for step in ("versions", "device", "PDF", "fonts")]


@pytest.mark.usefixtures("folder")
def test_a_device_that_is_not_there_is_a_problem_of_the_machine(monkeypatch, capsys):
    Path("audit.toml").unlink()
    code, out, _ = outcome(["doctor", "--device", "cuda:63"], monkeypatch, capsys)
    assert code == 2
    assert "device cuda:63" in words_of(out, "device")


@pytest.mark.parametrize("data", ["loader = 'more.py:many'", "file = 'few.npz'"])
def test_how_many_examples_there_are_is_not_judged_by_two_batches(project, data, monkeypatch, capsys):
    np.savez("few.npz", inputs=np.ones((20, 6), np.float32), targets=np.arange(20) % 3)
    (project / "audit.toml").write_text(f'[model]\nfactory = "code.py:build"\n[data]\nn_samples = 200\n{data}\n')
    code, out, _ = outcome(["doctor", "model.safetensors"], monkeypatch, capsys)
    assert code == 0, out
    assert "asked for" not in out


BROKEN = [
    (["cut.safetensors"], {}, 4, "checkpoint", "is cut short"),
    (["pickle.safetensors"], {}, 4, "checkpoint", "a pickle, which runs code when loaded"),
    (["inf.safetensors"], {}, 4, "checkpoint", "'0.bias' has 8"),
    (["nothing.safetensors"], {}, 4, "checkpoint", "no such file"),
    (["less.safetensors"], {}, 4, "weights", "no tensor '2.bias'"),
    ([], {"model": "code.py:raises"}, 4, "model", "raised ValueError: no weights today"),
    ([], {"model": "code.py:buidl"}, 4, "model", "Did you mean 'build'?"),
    ([], {"model": "code.py:frozen"}, 4, "model", "code.py:frozen"),
    ([], {"model": "code.py:narrow"}, 4, "weights", "(5, 6)"),
    ([], {"data": "code.py:empty"}, 4, "data", "has no examples"),
    ([], {"data": "code.py:shuffled"}, 4, "data", "the second pass gave other batches than the first"),
    ([], {"data": "more.py:seeded_shuffle"}, 4, "data", "the second pass gave other batches than the first"),
    ([], {"data": "code.py:midway"}, 4, "data", "raised OSError: disk gone"),
    ([], {"data": "code.py:holes"}, 4, "data", "in the inputs not finite"),
    ([], {"data": "code.py:number"}, 4, "data", "returned int, which cannot be iterated"),
    ([], {"data": "code.py:classes"}, 4, "gradient", "a target is 51, but the model has 3 classes"),
    (["--device", "cuda:63"], {}, 2, "device", "device cuda:63"),
    (["--out", "in-the-way"], {}, 2, "output", "in-the-way: cannot be written to"),
    (["--out", "/proc/audit"], {}, 2, "output", "/proc/audit: cannot be written to"),
]


@pytest.mark.parametrize(("arguments", "replaced", "expected", "step", "wanted"), BROKEN)
def test_a_doctor_names_the_step_that_is_broken_and_exits_as_the_run_would(
    project, arguments, replaced, expected, step, wanted, monkeypatch, capsys
):
    with_config(project, **replaced)
    if not any(argument.endswith(".safetensors") for argument in arguments):
        arguments = ["model.safetensors", *arguments]
    code, out, err = outcome(["doctor", *arguments, "--config", "audit.toml"], monkeypatch, capsys)
    assert code == expected
    assert ("✗", step) in steps_of(out)
    assert [mark for mark, _ in steps_of(out)].count("✗") == 1
    assert wanted in words_of(out, step)
    assert "Traceback" not in out + err
    assert not list(Path().glob("audit-*"))


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "step"),
    [
        (["cut.safetensors"], "checkpoint"),
        (["less.safetensors"], "weights"),
        (["model.safetensors", "--device", "cuda:63"], "device"),
    ],
)
def test_a_doctor_says_it_in_the_words_of_the_run(arguments, step, monkeypatch, capsys):
    _, out, _ = outcome(["doctor", *arguments], monkeypatch, capsys)
    _, _, err = outcome(["run", *arguments, "--no-pdf"], monkeypatch, capsys)
    said = err.split("landscape-audit: error: ")[1].split("landscape-audit: ERROR")[0].strip()
    assert words_of(out, step) == said


@pytest.mark.parametrize(
    ("gate", "step", "wanted"),
    [
        (GATE.format("lost.value"), "gates", "Did you mean 'loss'?"),
        (GATE.format("loss.value").replace("at_most", "at_mots"), "config", "Did you mean 'at_most'?"),
        ("x = [", "config", "not TOML"),
    ],
)
def test_a_mistake_in_audit_toml_is_found_before_anything_is_loaded(folder, gate, step, wanted, monkeypatch, capsys):
    (folder / "audit.toml").write_text(CONFIG + gate)
    code, out, _ = outcome(["doctor", "model.safetensors"], monkeypatch, capsys)
    assert code == 2
    assert wanted in words_of(out, step)


def test_every_problem_is_listed_and_what_needs_them_is_not_tried(folder, monkeypatch, capsys):
    (folder / "audit.toml").write_text(
        CONFIG.replace("code.py:build", "code.py:wrong").replace("code.py:batches", "code.py:midway")
        + '[checkpoint]\npath = "gone.safetensors"\n[loss]\nname = "crossentropy"\n'
        + GATE.format("lost.value")
    )
    code, out, _ = outcome(["doctor", "--config", "audit.toml"], monkeypatch, capsys)
    assert code == 2, "the first of them is the gate"
    problems = [step for mark, step in steps_of(out) if mark == "✗"]
    assert problems == ["gates", "checkpoint", "model", "data", "loss"]
    assert "audit.toml names it under [checkpoint] path" in words_of(out, "checkpoint")
    untried = [step for mark, step in steps_of(out) if mark == "–"]
    assert untried == ["weights", "gradient", "curvature", "plan", "memory"]


@pytest.mark.parametrize("loader", ["endless", "late", "stream"])
def test_no_more_than_two_batches_are_read(project, loader, monkeypatch, capsys):
    with_config(project, data=f"more.py:{loader}")
    code, out, _ = outcome(["doctor", "model.safetensors"], monkeypatch, capsys)
    assert code == 0, out
    assert f"40 examples from more.py:{loader}, its first 2 batches" in words_of(out, "data")


def test_a_model_without_a_second_derivative_is_told_and_no_obstacle(project, monkeypatch, capsys):
    with_config(project, model="more.py:once")
    code, out, _ = outcome(["doctor", "model.safetensors"], monkeypatch, capsys)
    assert code == 0, out
    assert ("!", "curvature") in steps_of(out)
    assert "The model has no second derivative" in out


def test_control_c_ends_a_doctor_at_once(project, monkeypatch, capsys):
    (project / "more.py").write_text("def held():\n    raise KeyboardInterrupt\n")
    with_config(project, model="more.py:held")
    code, out, err = outcome(["doctor", "model.safetensors"], monkeypatch, capsys)
    assert code == 130
    assert ("✓", "checkpoint") in steps_of(out)
    assert err.splitlines()[-1] == "landscape-audit: ERROR  interrupted  (exit 130)"


def test_a_doctor_and_the_results_say_which_class_of_a_library_the_model_is(tmp_path, monkeypatch, capsys):
    transformers = pytest.importorskip("transformers")
    monkeypatch.chdir(tmp_path)
    save(tmp_path, transformers.GPT2LMHeadModel(transformers.GPT2Config(**GPT2)))
    write_config(tmp_path, GPT2)
    np.savez("val.npz", input_ids=np.arange(40).reshape(8, 5) % 20)
    named = '[model]\nfactory = "transformers"\n[data]\nfile = "val.npz"\n[loss]\nname = "causal_lm"\n'
    (tmp_path / "audit.toml").write_text(named)
    code, out, _ = outcome(["doctor", "model.safetensors"], monkeypatch, capsys)
    assert code == 0, out
    assert words_of(out, "model").startswith("GPT2LMHeadModel with ")
    run = ["run", "model.safetensors", "--only", "loss", "--preset", "quick", "--no-pdf", "--json"]
    _, out, _ = outcome(run, monkeypatch, capsys)
    assert json.loads(out)["subject"]["model"] == "transformers: GPT2LMHeadModel"
