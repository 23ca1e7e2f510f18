"""The output folder: one run at a time, nothing half written, and a disk that fills or a folder that vanishes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from command_line import assert_one_message, outcome
from results_factory import an_audit

from landscape_audit import files, lock
from landscape_audit.cli import run as run_command
from landscape_audit.cli.outputs import clear
from landscape_audit.errors import OutputError
from landscape_audit.files import PARTIAL, replacing, write_atomically
from landscape_audit.lock import locked

RUN = ("run", "model.safetensors", "--no-pdf", "--only", "loss", "--out", "out")


pytestmark = pytest.mark.usefixtures("folder")


def silent(message):
    raise AssertionError(message)


def test_a_second_run_into_a_folder_is_refused_and_told_whose_it_is(monkeypatch, capsys):
    assert outcome(RUN, monkeypatch, capsys)[0] == 0
    before = Path("out/results.json").read_bytes()
    with locked(Path("out"), silent):
        code, _, told = outcome(RUN, monkeypatch, capsys)
    assert code == 2
    assert f"out: another audit is writing there: process {os.getpid()}, since 20" in told
    assert "--out" in told
    assert Path("out/results.json").read_bytes() == before
    assert outcome(RUN, monkeypatch, capsys)[0] == 0
    assert not Path("out/.lock").exists()


def test_the_lock_of_a_process_that_is_gone_is_none(monkeypatch, capsys):
    Path("out").mkdir()
    Path("out/.lock").write_text('{"pid": 1, "started": "2020"}')
    assert outcome(RUN, monkeypatch, capsys)[0] == 0


def test_a_full_disk_leaves_a_lock_that_says_not_whose_it_is(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.pwrite", full)
    with locked(tmp_path, silent), pytest.raises(OutputError, match="a process that did not say which"):
        locked(tmp_path, silent).__enter__()
    assert not (tmp_path / ".lock").exists()


def test_where_there_are_no_locks_that_is_told(tmp_path, monkeypatch):
    def unknown(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", unknown)
    told = []
    with locked(tmp_path, told.append):
        assert "there are no file locks here" in told[0]


@pytest.mark.parametrize("kind", ["pipe", "folder", "link"])
def test_what_is_no_lock_file_is_in_the_way_and_neither_followed_nor_waited_for(tmp_path, kind):
    path, target = tmp_path / lock.NAME, tmp_path / "target"
    target.write_text("mine")
    {"pipe": os.mkfifo, "folder": os.mkdir, "link": lambda path: path.symlink_to(target)}[kind](path)
    with pytest.raises(OutputError, match=r"\.lock: is in the way"), locked(tmp_path, silent):
        pass
    assert target.read_text() == "mine"


def test_a_file_that_could_not_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    own = tmp_path / "own"
    own.mkdir()
    path = own / "results.json"
    write_atomically(path, b"old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OutputError, match=r"results.json: cannot be written: No space left on device"):
        write_atomically(path, b"new")
    assert {each.name: each.read_bytes() for each in own.iterdir()} == {"results.json": b"old"}


OWN = {
    "results.json": '{"accuracy": 0.91}',
    "report.html": "<title>Our quarterly report</title>",
    "report.pdf": "%PDF-1.7",
    "summary.md": "# Summary",
}


@pytest.mark.parametrize("names", [[name] for name in OWN] + [[*OWN]], ids=[*OWN, "all"])
def test_files_of_the_users_own_are_never_replaced(names, monkeypatch, capsys):
    for name in names:
        Path(name).write_text(OWN[name])
    before = {path.name for path in Path().iterdir()}
    code, out, told = outcome([*RUN[:-1], "."], monkeypatch, capsys)
    assert_one_message(code, 2, f"{names[0]}: is in the way", out, told)
    assert {name: Path(name).read_text() for name in names} == {name: OWN[name] for name in names}
    assert {path.name for path in Path().iterdir()} == before


def test_files_of_an_earlier_audit_are_replaced_also_where_it_was_cleared_only_in_part(monkeypatch, capsys):
    for gone in ((), ("report.html", "summary.md")):
        assert outcome(RUN, monkeypatch, capsys)[0] == 0
        for name in gone:
            Path("out", name).unlink()
    assert outcome(RUN, monkeypatch, capsys)[0] == 0


def test_a_run_that_is_killed_while_it_clears_leaves_what_shows_that_the_rest_is_an_audits(monkeypatch, capsys):
    assert outcome(RUN, monkeypatch, capsys)[0] == 0
    unlink, removed = Path.unlink, []

    def noted(path, **more):
        removed.append(path.name)
        unlink(path, **more)

    monkeypatch.setattr(Path, "unlink", noted)
    clear(Path("out"))
    assert removed[-1] == "results.json"


def test_the_next_run_removes_what_a_killed_one_left_half_written_and_nothing_else(monkeypatch, capsys):
    out = Path("out")
    out.mkdir()
    for name in ("results.json", "report.html", "sam-seed-0.json"):
        with replacing(out / name):
            (part,) = out.glob(f".{name}.*{PARTIAL}")
            os.link(part, out / "as it is now")
        (out / "as it is now").rename(part)
    for name in ("results.json", "report.html"):
        (out / name).unlink()
    (out / ".mine.partial").write_text("not of this tool")
    assert outcome(RUN, monkeypatch, capsys)[0] == 0
    outputs = {"results.json", "report.html", "summary.md"}
    assert {path.name for path in out.iterdir()} == {".mine.partial", "sam-seed-0.json", *outputs}


def test_a_folder_without_room_for_a_report_is_refused_and_what_is_in_it_stays(monkeypatch, capsys):
    assert outcome(RUN, monkeypatch, capsys)[0] == 0
    before = Path("out/results.json").read_bytes()
    monkeypatch.setattr(files, "bytes", lambda _: (_ for _ in ()).throw(OSError(28, "No space left")), raising=False)
    for command in (RUN, ("calibrate", "model.safetensors", "--out", "out")):
        code, _, told = outcome(command, monkeypatch, capsys)
        assert code == 2
        assert "out: has no room for a report: No space left" in told
    assert Path("out/results.json").read_bytes() == before


def test_results_that_cannot_be_written_are_not_lost(monkeypatch, capsys):
    def full(path, _):
        raise OutputError(f"{path}: cannot be written: No space left on device.")

    monkeypatch.setattr(run_command, "write_atomically", full)
    code, _, told = outcome(RUN, monkeypatch, capsys)
    assert code == 2
    assert "out/results.json: cannot be written: No space left on device" in told
    assert "kept. Go on with:  landscape-audit run" in told
    monkeypatch.setattr(run_command, "write_atomically", write_atomically)
    code, _, told = outcome([*RUN, "--resume"], monkeypatch, capsys)
    assert code == 0
    assert "Going on with an interrupted audit" in told


def test_a_folder_that_is_removed_during_the_run_is_made_again(monkeypatch, capsys):
    code = Path("code.py").read_text()
    vanishing = """
import shutil
calls = []
def loss(outputs, targets):
    calls.append(1)
    if len(calls) > 60: shutil.rmtree("out", ignore_errors=True)
    return torch.nn.functional.cross_entropy(outputs, targets)
"""
    Path("code.py").write_text(code + vanishing)
    arguments = [*RUN[:3], "--loss", "code.py:loss", "--only", "sharpness", "--out", "out"]
    code, _, told = outcome(arguments, monkeypatch, capsys)
    assert code == 0, told
    assert json.loads(Path("out/results.json").read_text())["checks"]
    assert "The audit goes on" in told


PAGES = {"report": ["report", "results.json"], "compare": ["compare", "results.json", "results.json"]}


@pytest.mark.parametrize("command", PAGES)
@pytest.mark.parametrize("kind", ["html", "md"])
def test_pages_take_the_place_of_no_file_of_another_program_and_of_their_own_alone(command, kind, monkeypatch, capsys):
    page = Path("site", f"{'summary' if (command, kind) == ('report', 'md') else command}.{kind}")
    page.parent.mkdir()
    page.write_text("<h1>mine</h1>")
    Path("results.json").write_text(an_audit().to_json())
    call = [*PAGES[command], "--no-pdf", "--out", "site"]
    code, out, err = outcome(call, monkeypatch, capsys)
    assert_one_message(code, 2, f"{page}: is in the way: landscape-audit did not write it", out, err)
    assert [(each.name, each.read_text()) for each in page.parent.iterdir()] == [(page.name, "<h1>mine</h1>")]
    page.unlink()
    assert [outcome(call, monkeypatch, capsys)[0] for _ in range(2)] == [0, 0]


def test_pages_beside_the_results_of_an_audit_are_its_own(monkeypatch, capsys):
    Path("results.json").write_text(an_audit().to_json())
    Path("report.html").write_text("of an older release")
    assert outcome(["report", "results.json", "--no-pdf"], monkeypatch, capsys)[0] == 0
