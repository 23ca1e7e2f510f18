"""Whatever the user's own code does, the audit ends by itself: with one message, or with what it could measure."""

from __future__ import annotations

import textwrap

import pytest
from command_line import CODE, assert_one_message, outcome

RUN = ["run", "model.safetensors", "--no-pdf", "--only", "loss"]
QUIET = [*RUN, "--quiet"]

FACTORIES = [
    ("def f(): raise ValueError('x' * 10**6)", "raised ValueError: xxxxx"),
    ("def f(): raise ValueError('first\\n::error::second\\x1b[31m\\u202e')", "raised ValueError: first (code.py, line"),
    ("E = type('E\\x1b[31m', (Exception,), {})\ndef f(): raise E('x')", "raised E\\x1b[31m: x"),
    ("class E(Exception):\n    def __str__(self): raise SystemExit(0)\ndef f(): raise E", "raised E (code.py"),
    ("class E(Exception):\n    def __str__(self): return 3\ndef f(): raise E", "raised E (code.py"),
    ("def f(): raise ExceptionGroup('many', [ValueError('a')])", "raised ExceptionGroup: many"),
    ("def f(): raise GeneratorExit", "raised GeneratorExit"),
    ("def f(): raise BrokenPipeError('x')", "raised BrokenPipeError"),
    ("import typer\ndef f(): raise typer.Exit(0)", "raised Exit: 0"),
    ("def f(): return f()", "raised RecursionError"),
    ("def f(): raise MemoryError('x')", "code.py:f: out of memory"),
    ("def f(): raise torch.OutOfMemoryError('CUDA out of memory')", "code.py:f: out of memory"),
    ("def f(): return nn.Linear(10**7, 10**7)", "code.py:f: out of memory"),
    ("def f(: pass", "raised SyntaxError: invalid syntax (code.py, line"),
    ("sys.exit(0)", "raised SystemExit: 0"),
    ("def __getattr__(name): sys.exit(0)", "raised SystemExit: 0"),
    ("f = 3", "is of type int, which cannot be called"),
    ("def f(): return None", "returned NoneType, not a torch.nn.Module"),
    ("def f(): return nn.Linear", "returned type, not a torch.nn.Module"),
    ("def f(): yield build()", "returned generator, not a torch.nn.Module"),
    ("def f(): return build().state_dict()", "returned OrderedDict, not a torch.nn.Module"),
    ("def f(): return [build()]", "returned list, not a torch.nn.Module"),
    ("class f(nn.Module): pass", "has no trainable parameters"),
    ("def f():\n    with torch.device('meta'): return build()", "'0.weight' was made on the meta device"),
    ("def f():\n    with torch.inference_mode(): return build()", "'0.weight' was made in inference mode"),
    ("def f(): return nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.Linear(8, 3))", "has no shape yet"),
    ("def f(): return nn.Linear(6, 3, dtype=torch.complex64)", "'weight' is torch.complex64"),
    ("class W:\n    def __getattr__(self, name): raise OSError('x')\ndef f(): return W()", "raised OSError: x"),
    (
        "class W(nn.Sequential):\n    def named_parameters(self, *a, **k): sys.exit(0)\ndef f(): return W(*build())",
        "Exit",
    ),
    ("class W(nn.Sequential):\n    def state_dict(self, *a, **k): sys.exit(0)\ndef f(): return W(*build())", "Exit: 0"),
    ("class W(nn.Sequential):\n    def train(self, mode=True): sys.exit(0)\ndef f(): return W(*build())", "Exit: 0"),
    (
        "def f():\n    m = build()\n    m.register_forward_hook(lambda *a: 1 / 0)\n    return m",
        "raised ZeroDivisionError",
    ),
    ("def f():\n    m = build()\n    for _ in range(3000): m = nn.Sequential(m)\n    return m", "RecursionError"),
]
FORWARDS = [
    ("raise ValueError('bad\\nthing')", "code.py:f: forward: raised ValueError: bad (code.py"),
    ("sys.exit(0)", "forward: raised SystemExit: 0"),
    ("return None", "the model's output is of type NoneType"),
    ("return self.forward(x)", "forward: raised RecursionError"),
    ("return super().forward(x)[:, 0]", "do not go with torch.int64 targets"),
    ("return super().forward(x).detach()", "does not depend on any trainable parameter"),
    ("return super().forward(x) * float('inf')", "which is no height"),
    ("raise MemoryError", "out of memory on batch 0"),
]
LOADERS = [
    ("yield X[:0], Y[:0]", "has no examples"),
    ("while True: yield X[:0], Y[:0]", "10,001 empty batches in a row"),
    ("return [(X.to('meta'), Y)]", "meta tensor"),
    ("return [(X.cuda(99), Y)]", "raised"),
    ("return [(torch.tensor(1.0), torch.tensor(1))]", "inputs are a single number"),
    ("return [(X > 0, Y)]", "forward: raised RuntimeError"),
    ("return [(X.to(torch.uint8), Y)]", "forward: raised RuntimeError"),
    ("return [(X.to(torch.complex64), Y)]", "forward: raised RuntimeError"),
    ("return [(X.to_sparse(), Y)]", "inputs are not a dense tensor"),
    ("return ['words']", "batch 0"),
    ("return [None]", "batch 0"),
    ("return [1, 2]", "batch 0"),
    ("return None", "returned NoneType, which cannot be iterated"),
    ("return [(X * 1e39, Y)]", "numbers of 240 in the inputs not finite"),
    ("return [(X, Y * float('nan'))]", "40 numbers of 40 in the targets not finite"),
    ("return [(X, Y - 7)]", "a target is -7"),
    ("raise KeyError('path')", "raised KeyError: 'path'"),
    ("raise MemoryError", "code.py:f: out of memory"),
    ("raise OSError(24, 'Too many open files')", "Too many open files"),
    ("return (pair for pair in [(X, Y), 1 / 0])", "raised ZeroDivisionError"),
    ("return dies(lambda i: os._exit(3))", "DataLoader worker"),
    ("return dies(lambda i: 1 / 0)", "raised ZeroDivisionError: division by zero in a DataLoader worker"),
]
LOSSES = [
    ("return torch.ones(7) * o.sum()", "returned Tensor (7,) of torch.float32 for a batch of 2"),
    ("return CE(o, t) / 0", "the loss of batch 0 is inf"),
    ("return CE(o.double(), t) * 1e308 * 1e5", "the loss of batch 0 is inf"),
    ("return CE(o, t), -3", "its weight is -3"),
    ("return CE(o, t), 0", "the weights of all batches are zero"),
    ("return CE(o, t), float('nan')", "its weight is nan"),
    ("return CE(o, t), 10**400", "raised OverflowError"),
    ("return 3.0", "returned float for a batch of 2"),
    ("return None", "returned NoneType"),
    ("return True", "returned bool"),
    ("return CE(o, t), 1, 2", "returned tuple"),
    ("return CE(o, t).detach()", "does not depend on any trainable parameter"),
    ("return CE(o, t).to(torch.complex64)", "not a scalar tensor that gradients flow through"),
    ("return t.sum()", "not a scalar tensor that gradients flow through"),
    ("return CE(o, t).to('meta')", "on the meta device"),
    ("raise torch.OutOfMemoryError('CUDA out of memory')", "out of memory on batch 0"),
    ("sys.exit(0)", "raised SystemExit: 0"),
    ("torch.set_grad_enabled(False); return CE(o, t)", "does not depend on any trainable parameter"),
    ("return CE(Back.apply(o, lambda: sys.exit(0)), t)", "backward: raised SystemExit: 0"),
    ("return CE(Back.apply(o, lambda: 1 / 0), t)", "backward: raised ZeroDivisionError"),
    ("return CE(Back.apply(o, lambda: float('nan')), t)", "its gradient is not"),
    ("calls.append(1); return CE(o, t) / (len(calls) < 60)", "although it was finite when it was tried"),
    ("calls.append(1); return CE(o, t) if len(calls) < 60 else sys.exit(0)", "raised SystemExit: 0"),
]
KIT = """
import os
from torch.utils.data import DataLoader, Dataset
CE, calls = nn.functional.cross_entropy, []
class Back(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, act):
        ctx.act = act
        return x.clone()
    @staticmethod
    def backward(ctx, grad): return grad * (ctx.act() or 1), None
def dies(act):
    class Rows(Dataset):
        def __len__(self): return 40
        def __getitem__(self, i): return (act(i) if i == 30 else X[i]), Y[i]
    return DataLoader(Rows(), batch_size=8, num_workers=1)
"""


def written(folder, text):
    """The project's code, with a piece of the test's own at its end."""
    (folder / "code.py").write_text(CODE + KIT + textwrap.dedent(text))


def a_function(head, body):
    return f"def f({head}):\n    {body}\n"


def a_model(body):
    return f"class W(nn.Sequential):\n    def forward(self, x):\n        {body}\ndef f(): return W(*build())\n"


ROWS = [
    *(("--model", text, wanted) for text, wanted in FACTORIES),
    *(("--model", a_model(body), wanted) for body, wanted in FORWARDS),
    *(("--data", a_function("", body), wanted) for body, wanted in LOADERS),
    *(("--loss", a_function("o, t", body), wanted) for body, wanted in LOSSES),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("flag", "text", "wanted"), ROWS, ids=lambda value: str(value)[:60])
def test_code_that_cannot_be_audited_is_exit_code_4(folder, flag, text, wanted, monkeypatch, capsys):
    written(folder, text)
    code, out, err = outcome([*RUN, flag, "code.py:f"], monkeypatch, capsys)
    assert_one_message(code, 4, wanted, out, err)


ODD = [
    ("--data", "return [(X.clone().requires_grad_(), Y)]"),
    ("--data", "return [(X.t().contiguous().t(), Y)]"),
    ("--data", "return [(X[:0], Y[:0]), (X, Y), (X[:0], Y[:0])]"),
    ("--data", "torch.set_default_dtype(torch.float64); torch.set_num_threads(1); return batches()"),
    ("--data", "torch.autocast('cpu', torch.bfloat16).__enter__(); return batches()"),
    ("--data", "import warnings; warnings.simplefilter('error'); return batches()"),
    ("--data", "sys.setrecursionlimit(90); return batches()"),
    ("--data", "sys.stdout = sys.stderr = None; return batches()"),
    ("--data", "sys.stdout.close(); return batches()"),
    ("--loss", "return CE(o.mul_(1), t)"),
    ("--loss", "loss = CE(o, t.clone()); t.zero_(); return loss"),
    ("--loss", "loss = CE(o, t); torch.set_grad_enabled(False); return loss"),
    ("--loss", "loss = CE(o, t); torch.set_default_dtype(torch.float64); return loss"),
]


@pytest.mark.parametrize(("flag", "body"), ODD)
def test_code_that_is_only_odd_is_audited_and_gives_the_same_loss(folder, flag, body, monkeypatch, capsys):
    from landscape_audit.results import read_results

    found = []
    plain = {"--data": "return batches()", "--loss": "return CE(o, t)"}[flag]
    for each in (body, plain):
        written(folder, a_function("o, t" if flag == "--loss" else "", each))
        assert outcome([*QUIET, flag, "code.py:f"], monkeypatch, capsys)[0] == 0
        results = read_results(folder / "audit-model/results.json")
        assert results.instrument.agrees, results.instrument.disagreements
        found.append(results.estimates()["loss.value"].value)
    assert found[0] == pytest.approx(found[1], rel=1e-6)  # another memory layout, another rounding


@pytest.mark.parametrize(
    "body",
    [
        "return CE(o, t) * torch.rand(())",
        "return CE(nn.functional.dropout(o, 0.5), t)",
        "calls.append(1); return CE(o, t) * (1 + 1e-3 * len(calls))",
        "calls.append(1); return CE(o, t) * (1 + len(calls) % 2)",
    ],
)
def test_a_loss_that_is_another_one_each_time_never_passes_a_gate(folder, body, monkeypatch, capsys):
    written(folder, a_function("o, t", body))
    with (folder / "audit.toml").open("a") as file:
        file.write('[gates."loss.value"]\nat_most = 1000\nwhy = "a test"\n')
    code, _, _ = outcome([*QUIET, "--loss", "code.py:f"], monkeypatch, capsys)
    assert code == 3
    assert "The instrument disagrees with itself" in (folder / "audit-model/report.html").read_text()


def test_a_model_that_overwrites_its_inputs_is_audited_on_the_inputs(folder, monkeypatch, capsys):
    from landscape_audit.results import read_results

    losses = []
    for scaled in ("x.mul_(2)", "2 * x"):
        written(folder, a_model(f"return super().forward({scaled})"))
        assert outcome([*QUIET, "--model", "code.py:f"], monkeypatch, capsys)[0] == 0
        losses.append(read_results(folder / "audit-model/results.json").estimates()["loss.value"].value)
    assert losses[0] == losses[1]


def test_a_backward_that_exits_midway_fails_its_check_and_no_other(folder, monkeypatch, capsys):
    written(folder, a_function("o, t", "return CE(Back.apply(o, act), t)") + "def act(): calls.append(1); late()\n")
    with (folder / "code.py").open("a") as file:
        file.write("def late():\n    if len(calls) > 100: sys.exit(0)\n")
    arguments = [*QUIET, "--only", "sharpness", "--loss", "code.py:f"]
    code, _, err = outcome(arguments, monkeypatch, capsys)
    assert code == 5
    assert "SystemExit: 0" in err
    assert (folder / "audit-model/results.json").is_file()


def test_the_way_to_an_error_is_shown_on_demand(folder, monkeypatch, capsys):
    written(folder, "def deep(): raise ValueError('x')\ndef f(): deep()\n")
    monkeypatch.setenv("LANDSCAPE_AUDIT_TRACEBACK", "1")
    code, _, err = outcome([*RUN, "--model", "code.py:f"], monkeypatch, capsys)
    assert code == 4
    assert "in deep" in err


def test_no_bytecode_is_left_beside_the_users_files(folder, monkeypatch, capsys):
    (folder / "neighbour.py").write_text("")
    written(folder, "import neighbour\ndef f(): return build()\n")
    assert outcome([*QUIET, "--model", "code.py:f"], monkeypatch, capsys)[0] == 0
    assert not list(folder.rglob("__pycache__"))


LATER = """
import os
class Later(nn.Sequential):
    def forward(self, x):
        return super().forward(x * (1 + ("TRIED" in os.environ)))
def later(): return Later(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
"""
MUTE = """
class Mute(nn.Sequential):
    def __repr__(self): raise RuntimeError("no words")
def mute(): return Mute(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
class Unsigned(nn.Sequential):
    @property
    def forward(self): raise RuntimeError("no signature")
def unsigned(): return Unsigned(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
"""


def test_a_model_that_becomes_another_after_it_was_tried_never_passes_a_gate(folder, monkeypatch, capsys):
    from landscape_audit.probes.instrument import InstrumentTrial
    from landscape_audit.results import read_results

    take = InstrumentTrial.take

    def taken(self, bench):
        trial = take(self, bench)
        monkeypatch.setenv("TRIED", "1")
        return trial

    monkeypatch.setattr(InstrumentTrial, "take", taken)
    with (folder / "audit.toml").open("a") as file:
        file.write('[gates."loss.value"]\nat_most = 1000\nwhy = "a test"\n')
    (folder / "code.py").write_text((folder / "code.py").read_text() + LATER)
    code, _, _ = outcome([*QUIET, "--model", "code.py:later"], monkeypatch, capsys)
    assert code == 3
    (told,) = read_results(folder / "audit-model/results.json").instrument.disagreements
    assert told.startswith("the loss at the beginning and at the end of the audit differ by ")


@pytest.mark.parametrize(("name", "expected"), [("mute", 0), ("unsigned", 4)])
def test_a_model_that_cannot_show_itself_is_no_bug_of_ours(folder, name, expected, monkeypatch, capsys):
    (folder / "code.py").write_text((folder / "code.py").read_text() + MUTE)
    code, _, err = outcome([*QUIET, "--model", f"code.py:{name}"], monkeypatch, capsys)
    assert code == expected, err
    assert "internal" not in err
