"""A folder with a project in it, and with everything that is no checkpoint; commands called as a shell would."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from landscape_audit.cli.main import main

CODE = """
import sys
import torch
from torch import nn

def build(): return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
def raises(): raise ValueError("no weights today")
def wrong(): return 3
def exits(): sys.exit(7)
class Own(BaseException): pass
class Speechless(Exception):
    def __str__(self): raise RuntimeError("no words")
def own(): raise Own("mine")
def speechless(): raise Speechless
def frozen():
    model = build()
    for parameter in model.parameters(): parameter.requires_grad_(False)
    return model
def narrow(): return nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
def renamed(): return nn.ModuleDict({"body": build()})

X = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
Y = torch.arange(40) % 3
def batches(): return [(X[:20], Y[:20]), (X[20:], Y[20:])]
def empty(): return []
def shuffled():
    from torch.utils.data import DataLoader, TensorDataset
    return DataLoader(TensorDataset(X, Y), batch_size=8, shuffle=True)
def midway():
    yield X[:20], Y[:20]
    raise OSError("disk gone")
def holes(): return [(X * float("nan"), Y)]
def classes(): return [(X, Y + 50)]
def lengths(): return [(X, Y[:7])]
def words(): return [("some", "words")]
def number(): return 3

def nan_loss(outputs, targets): return outputs.sum() * float("nan")
def constant(outputs, targets): return torch.tensor(1.0)
def broken(outputs, targets): raise KeyError("target")
"""
CONFIG = """
[model]
factory = "code.py:build"
[data]
loader = "code.py:batches"
[protocol]
preset = "quick"
"""


def fill(tmp_path: Path) -> None:
    """Write the project into `tmp_path`, which is the current folder."""
    (tmp_path / "code.py").write_text(CODE)
    (tmp_path / "audit.toml").write_text(CONFIG)
    torch.manual_seed(0)
    state = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)).state_dict()
    save_file(state, "model.safetensors")
    whole = Path("model.safetensors").read_bytes()
    torch.save(state, "pickle.safetensors")
    Path("cut.safetensors").write_bytes(whole[: len(whole) // 2])
    Path("empty.safetensors").write_bytes(b"")
    Path("page.safetensors").write_text("<!doctype html><title>Sign in</title>")
    Path("pointer.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    save_file({**state, "0.bias": torch.full((8,), float("inf"))}, "inf.safetensors")
    save_file({**state, "x\x1b[31m<script>{{7*7}}\u202e": torch.zeros(2)}, "hostile.safetensors")
    save_file({name: value for name, value in state.items() if name != "2.bias"}, "less.safetensors")
    Path("in-the-way").write_text("a file")
    Path("older/report.html").mkdir(parents=True)
    Path("junk.npz").write_bytes(b"PK\x03\x04junk")
    Path("not.json").write_text('{"verdict": 3}')


def outcome(arguments, monkeypatch, capsys):
    """Exit code, stdout and stderr of one command."""
    monkeypatch.setattr(sys, "argv", ["landscape-audit", *arguments])
    begun = time.process_time()  # not by the clock on the wall: the machine may be busy
    with pytest.raises(SystemExit) as ended:
        main()
    assert time.process_time() - begun < 10 or Path("audit-model").exists(), "a mistake is told at once"
    return ended.value.code, *capsys.readouterr()


def assert_one_message(code, expected, wanted, out, err):
    """One message that says what was found and what to do, and nothing that looks like an audit."""
    assert code == expected, err
    assert wanted in err
    assert out == ""
    assert "Traceback" not in err
    assert "\x1b" not in err
    assert "\u202e" not in err
    assert re.fullmatch(rf"landscape-audit: ERROR  .+  \(exit {expected}\)", err.splitlines()[-1])
    assert err.count("landscape-audit: error: ") == 1
    remedy = err[err.index("landscape-audit: error: ") :].splitlines()[1:-1]
    assert remedy, f"what is there to do? {err}"
    assert all(line.startswith("  ") for line in remedy)
    assert len(err) < 20_000
    assert not list(Path().glob("audit-*")), "something was left behind that looks like an audit"
