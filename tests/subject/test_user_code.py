from __future__ import annotations

import os
import random
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from user_files import DATA, subject_in, write

import landscape_audit
from landscape_audit.errors import AuditError, DataError, LossError, ModelError
from landscape_audit.subject.code.process import undisturbed
from landscape_audit.subject.code.user_code import UserCode, is_out_of_memory


def test_a_file_is_found_from_the_base_folder(tmp_path: Path) -> None:
    write(tmp_path, "deep/model.py", "def build(n):\n    return n + 1\n")
    assert UserCode(tmp_path).resolve("deep/model.py:build", ModelError)(2) == 3


def test_a_package_beside_the_config_is_found_by_its_dotted_name(tmp_path: Path) -> None:
    write(tmp_path, "my_package/__init__.py", "")
    write(tmp_path, "my_package/nets.py", "def build():\n    return 7\n")
    assert UserCode(tmp_path).resolve("my_package.nets:build", ModelError)() == 7
    assert "my_package.nets" not in sys.modules


def test_an_installed_module_is_found_and_stays_imported(tmp_path: Path) -> None:
    assert UserCode(tmp_path).resolve("torch.nn:Linear", ModelError) is torch.nn.Linear
    assert sys.modules["torch.nn"] is torch.nn


def test_imports_beside_the_file_work_and_nothing_leaks(tmp_path: Path) -> None:
    write(tmp_path, "code/layers.py", "WIDTH = 5\n")
    write(tmp_path, "code/model.py", "from layers import WIDTH\ndef build():\n    return WIDTH\n")
    path, modules = sys.path.copy(), set(sys.modules)
    assert UserCode(tmp_path).resolve("code/model.py:build", ModelError)() == 5
    assert sys.path == path
    assert set(sys.modules) == modules


def test_two_audits_may_each_bring_a_module_of_one_name(tmp_path: Path) -> None:
    for number in (1, 2):
        write(tmp_path, f"{number}/layers.py", f"WIDTH = {number}\n")
        write(tmp_path, f"{number}/model.py", "from layers import WIDTH\ndef build():\n    return WIDTH\n")
    built = [UserCode(tmp_path / name).resolve("model.py:build", ModelError)() for name in ("1", "2")]
    assert built == [1, 2]


def test_an_installation_inside_the_base_folder_is_not_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "venv/lib/installed.py", "def fail():\n    raise ValueError('deep')\n")
    write(tmp_path, "model.py", "import installed\ndef build():\n    installed.fail()\ninstalled.fail()\n")
    monkeypatch.syspath_prepend(tmp_path / "venv/lib")
    with pytest.raises(ModelError, match=r"deep \(model.py, line 4\)"):
        UserCode(tmp_path).resolve("model.py:build", ModelError)
    assert sys.modules.pop("installed")


def test_this_package_stays_imported_when_it_lies_beside_the_config(tmp_path: Path) -> None:
    package = Path(landscape_audit.__file__).parents[1]
    name = "landscape_audit.figures"
    before = sys.modules.pop(name, None)
    write(tmp_path, "model.py", f"import {name}\ndef build():\n    pass\n")
    UserCode(package).resolve(f"{tmp_path / 'model.py'}:build", ModelError)
    assert name in sys.modules
    if before:
        sys.modules[name] = before


def test_a_file_runs_once_however_often_it_is_named(tmp_path: Path) -> None:
    write(
        tmp_path, "both.py", "runs = []\nruns.append(1)\ndef model():\n    return runs\ndef data():\n    return runs\n"
    )
    write(tmp_path, "loss.py", "import both\ndef loss():\n    return both.runs\n")
    code = UserCode(tmp_path)
    runs = code.resolve("both.py:model", ModelError)()
    assert runs is code.resolve("both.py:data", DataError)()
    assert runs is code.resolve("loss.py:loss", LossError)()
    assert runs == [1]


def test_a_file_named_like_a_standard_module_does_not_replace_it(tmp_path: Path) -> None:
    write(tmp_path, "random.py", "def build():\n    import random\n    return random\n")
    assert UserCode(tmp_path).resolve("random.py:build", ModelError)() is random


@pytest.mark.parametrize("spec", ["model", "model.py", ":build", "model.py:", ""])
def test_a_spec_of_another_form_is_told_the_forms(tmp_path: Path, spec: str) -> None:
    with pytest.raises(ModelError, match="does not name any code") as caught:
        UserCode(tmp_path).resolve(spec, ModelError)
    assert "`path/to/file.py:name`" in caught.value.remedy


@pytest.mark.parametrize("error", [ModelError, DataError, LossError])
def test_a_missing_file_is_the_callers_error_and_named(
    tmp_path: Path, error: type[ModelError | DataError | LossError]
) -> None:
    with pytest.raises(error, match=r"gone.py:build: no such file: .*gone.py") as caught:
        UserCode(tmp_path).resolve("gone.py:build", error)
    assert "audit.toml" in caught.value.remedy


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "x.py").mkdir()
    with pytest.raises(ModelError, match="is a folder"):
        UserCode(tmp_path).resolve("x.py:build", ModelError)


def test_a_missing_module_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"not_there.at_all:build: no module 'not_there'"):
        UserCode(tmp_path).resolve("not_there.at_all:build", ModelError)


def test_a_module_that_lacks_an_import_is_not_itself_missing(tmp_path: Path) -> None:
    write(tmp_path, "needy.py", "\nimport not_there\n")
    with pytest.raises(
        ModelError, match=r"raised ModuleNotFoundError: No module named 'not_there' \(needy.py, line 2\)"
    ):
        UserCode(tmp_path).resolve("needy:build", ModelError)


def test_a_missing_name_suggests_the_near_one(tmp_path: Path) -> None:
    write(tmp_path, "model.py", "def build_model():\n    pass\n")
    with pytest.raises(ModelError, match=r"model.py has no 'biuld_model'") as caught:
        UserCode(tmp_path).resolve("model.py:biuld_model", ModelError)
    assert caught.value.remedy == "Did you mean 'build_model'?"


def test_what_cannot_be_called_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "model.py", "build = 3\n")
    with pytest.raises(ModelError, match="of type int, which cannot be called"):
        UserCode(tmp_path).resolve("model.py:build", ModelError)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("\n\nraise ValueError('boom')\n", r"raised ValueError: boom \(model.py, line 3\)"),
        ("import sys\nsys.exit(0)\n", r"raised SystemExit: 0 \(model.py, line 2\)"),
        ("def build(:\n", r"raised SyntaxError: .*\(model.py, line 1\)"),
        ("import json\njson.loads('{')\n", r"raised JSONDecodeError: .*\(model.py, line 2\)"),
        ("raise RuntimeError('a \\x1b[31mred\\nline')\n", r"raised RuntimeError: a \\x1b\[31mred \(model.py"),
    ],
    ids=["raise", "exit", "syntax", "inside a library", "hostile"],
)
def test_an_import_that_raises_names_the_users_line(tmp_path: Path, text: str, told: str) -> None:
    write(tmp_path, "model.py", text)
    path, modules = sys.path.copy(), set(sys.modules)
    with pytest.raises(ModelError, match=told):
        UserCode(tmp_path).resolve("model.py:build", ModelError)
    assert sys.path == path
    assert "model" not in set(sys.modules) - modules


def test_an_interrupt_stays_an_interrupt(tmp_path: Path) -> None:
    write(tmp_path, "model.py", "raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        UserCode(tmp_path).resolve("model.py:build", ModelError)


def test_running_out_of_memory_is_left_to_whoever_can_use_less(tmp_path: Path) -> None:
    raised = torch.OutOfMemoryError("CUDA out of memory")
    with pytest.raises(torch.OutOfMemoryError), UserCode(tmp_path).lent("x", ModelError):
        raise raised
    assert is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"))
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


def test_prints_go_to_stderr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, "model.py", "print('loud')\ndef build():\n    pass\n")
    UserCode(tmp_path).resolve("model.py:build", ModelError)
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "loud\n")


def test_global_state_is_restored_even_after_an_error(tmp_path: Path) -> None:
    states = torch.get_rng_state(), random.getstate(), str(np.random.get_state())  # noqa: NPY002 - the global state
    folder = Path.cwd()

    def disturb() -> None:
        torch.manual_seed(1), random.seed(1), np.random.seed(1)  # noqa: NPY002 - likewise
        torch.set_default_dtype(torch.float64)
        torch.set_default_device("meta")
        torch.set_grad_enabled(mode=False)
        os.chdir(tmp_path)
        message = "disturbed"
        raise ValueError(message)

    with pytest.raises(ValueError, match="disturbed"), undisturbed():
        disturb()
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (random.getstate(), str(np.random.get_state())) == states[1:]  # noqa: NPY002 - likewise
    assert torch.get_default_dtype() == torch.float32
    assert torch.ones(1).device.type == "cpu"
    assert torch.is_grad_enabled()
    assert Path.cwd() == folder


PACKAGE = {
    "nets/__init__.py": "ACTIVATION = 'tanh'\n",
    "nets/layers.py": "from .widths import WIDTH\n",
    "nets/widths.py": "WIDTH = 5\n",
    "nets/deep/__init__.py": "",
    "nets/deep/model.py": (
        "from ..layers import WIDTH\nfrom .. import ACTIVATION\nimport beside\n"
        "def build():\n    return WIDTH, ACTIVATION, beside.HEADS\n"
    ),
    "nets/deep/beside.py": "HEADS = 2\n",
}


@pytest.mark.parametrize("name", ["nets", "random", "torch"])
def test_relative_imports_work_in_a_package_and_nothing_leaks(tmp_path: Path, name: str) -> None:
    for place, text in PACKAGE.items():
        write(tmp_path, place.replace("nets", name, 1), text)
    path, modules = sys.path.copy(), dict(sys.modules)
    code = UserCode(tmp_path)
    assert code.resolve(f"{name}/deep/model.py:build", ModelError)() == (5, "tanh", 2)
    assert sys.path == path
    assert sys.modules == modules
    assert {f"{name}/layers.py", f"{name}/deep/beside.py", f"{name}/deep/model.py"} <= set(code.sources())


def test_an_import_in_the_forward_pass_finds_the_package_again(tmp_path: Path) -> None:
    for place, text in PACKAGE.items():
        write(tmp_path, place, text)
    write(tmp_path, "nets/late.py", "def build():\n    from .widths import WIDTH\n    return WIDTH\n")
    code = UserCode(tmp_path)
    build = code.resolve("nets/late.py:build", ModelError)
    with code.lent("forward", ModelError):
        assert build() == 5
    assert not [name for name in sys.modules if name.startswith("nets")]


def test_two_files_of_one_package_share_what_they_import(tmp_path: Path) -> None:
    write(tmp_path, "nets/__init__.py", "")
    write(tmp_path, "nets/shared.py", "runs = []\n")
    for name in ("model", "data"):
        write(tmp_path, f"nets/{name}.py", "from .shared import runs\nruns.append(1)\ndef get():\n    return runs\n")
    code = UserCode(tmp_path)
    assert code.resolve("nets/model.py:get", ModelError)() is code.resolve("nets/data.py:get", DataError)()
    assert code.resolve("nets/model.py:get", ModelError)() == [1, 1]


def test_a_relative_import_outside_of_a_package_names_its_line(tmp_path: Path) -> None:
    write(tmp_path, "model.py", "from .layers import WIDTH\n")
    with pytest.raises(ModelError, match=r"attempted relative import with no known parent package \(model.py, line 1"):
        UserCode(tmp_path).resolve("model.py:build", ModelError)


TWO = "class Net(nn.Sequential):\n    def forward(self, x, {}):\n        return super().forward(x)\n"
OF_TWO = "def build():\n    return Net(nn.Linear(4, 3))\n"


@pytest.mark.parametrize(
    ("model", "loader", "remedy"),
    [
        (TWO.format("y") + OF_TWO, DATA, '[loss] name = "model"'),
        (TWO.format("labels") + OF_TWO, DATA, '[loss] name = "model"'),
        (TWO.format("mask") + OF_TWO, DATA, "(inputs, mask, targets)"),
        ("def build(width, depth): ...", DATA, "[model] kwargs = { width = …, depth = … }"),
        (OF_TWO.replace("Net", "nn.Sequential"), "def batches(*, part): ...", "[data] kwargs = { part = … }"),
        ("def build():\n    return inner()\ndef inner(y): ...", DATA, "LANDSCAPE_AUDIT_TRACEBACK"),
    ],
)
def test_the_setting_that_gives_a_lacking_argument_is_named_where_the_audit_makes_the_call(
    tmp_path: Path, model: str, loader: str, remedy: str
) -> None:
    tensors = {"0.weight": torch.zeros(3, 4), "0.bias": torch.zeros(3)}
    with pytest.raises(AuditError) as caught:
        subject_in(tmp_path, "from torch import nn\n" + model, loader, tensors)
    assert remedy in caught.value.remedy
