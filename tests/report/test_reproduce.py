"""The commands that a report gives name its own files, and whatever these are called, each stays one word."""

from __future__ import annotations

import re
import shlex

import pytest
from command_line import outcome
from results_factory import SHA256, an_audit
from sealed_audit import POLICY, a_sealed_audit, write

from landscape_audit.report.reproduce import how_of
from landscape_audit.report.view import view

HOSTILE = [
    "a b.safetensors",
    "$(rm -rf ~).bin",
    "x'; rm -rf ~ #",
    "-rf",
    "--help",
    "\x1b[2J`id`\n&& true",
    "\u202e.nib",
]


def named(name):
    audit = an_audit()
    (file,) = audit.subject.files
    subject = audit.subject.model_copy(update={"files": (file.model_copy(update={"name": name}),)})
    return audit.model_copy(update={"subject": subject})


def test_the_commands_are_those_of_this_audit():
    commands = {name: (command, told) for name, command, told in how_of(an_audit())}
    assert commands["Verify"][0] == "landscape-audit verify report.pdf --model model.safetensors"
    assert commands["Know the file"] == ("sha256sum model.safetensors", f"gives {SHA256}")
    again = "landscape-audit run model.safetensors --preset standard --seed 0 --device cpu --dtype float32"
    assert commands["Measure again"][0] == again


def test_the_commands_work_as_they_are_printed_in_a_folder_with_the_report_and_the_checkpoint(
    tmp_path, monkeypatch, capsys
):
    audit = a_sealed_audit({"gates": {"stationarity.class": POLICY["gates"]["stationarity.class"]}})
    before = write(tmp_path, audit).read_bytes()
    monkeypatch.chdir(tmp_path)
    commands = {name: shlex.split(command)[1:] for name, command, _ in how_of(audit) if command}
    for name in ("Judge again", "Render again", "Verify"):
        code, _, err = outcome(commands[name], monkeypatch, capsys)
        assert (name, code) == (name, 0), err
    assert (tmp_path / "report.pdf").read_bytes() == before


@pytest.mark.parametrize("name", HOSTILE)
def test_whatever_a_checkpoint_is_called_it_stays_one_word_and_no_option(name):
    for (_, command, _), (_, plain, _) in zip(how_of(named(name)), how_of(an_audit()), strict=True):
        words, ours = shlex.split(command), shlex.split(plain)
        assert command.isprintable()
        assert len(words) == len(ours)
        assert [word for word in words if word.startswith("-")] == [word for word in ours if word.startswith("-")]


SYMBOLS = "θ P H λ_max λ_min v_max v_min vᵀHv σ ρ ε δ Ritz GGN HVP m-sharpness Trace rank noise Tolerance"


@pytest.mark.parametrize("symbol", SYMBOLS.split())
def test_the_glossary_has_every_symbol_of_the_report(symbol):
    terms = {word for name, _ in view(an_audit()).glossary for word in re.split(r",? ", name)}
    assert symbol in terms
