"""What is no report gets one message; what cannot be decided here is neither verified nor altered. No torch."""

from __future__ import annotations

import datetime as dt
import io
import json
import os
import subprocess
import sys
import time
import zlib

import pikepdf
import pytest
from command_line import assert_one_message, outcome
from results_factory import a_check, an_estimate
from sealed_audit import CHECKPOINT, a_sealed_audit, printed, write

from landscape_audit.errors import CapabilityError, ResultsError
from landscape_audit.report import pdf as paper
from landscape_audit.results import AuditResults, Measured
from landscape_audit.seal import sealed
from landscape_audit.verification.verification import verify

TODAY = dt.date(2026, 3, 3)


@pytest.fixture(autouse=True)
def _in_a_folder_where_equal_results_are_rendered_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(paper, "pdf", lambda _, results: printed(results.to_json()))


def blank(**attached: bytes | pikepdf.Stream) -> pikepdf.Pdf:
    file = pikepdf.new()
    file.add_blank_page()
    for name, content in attached.items():
        full = name.replace("_", ".")
        file.attachments[full] = pikepdf.AttachedFileSpec(file, content, filename=full)
    return file


def saved(file: pikepdf.Pdf, **options: object) -> bytes:
    target = io.BytesIO()
    file.save(target, **options)
    return target.getvalue()


def two_of_a_name() -> bytes:
    file = blank(results_json=b"{}")
    names = file.Root.Names.EmbeddedFiles.Names
    file.Root.Names.EmbeddedFiles.Names = pikepdf.Array([*names, *names])
    return saved(file)


def a_bomb() -> bytes:
    """300 MB of spaces in a third of a MB."""
    file = blank(results_json=b"{}")
    packer = zlib.compressobj(9)
    packed = b"".join([*(packer.compress(b" " * 1_000_000) for _ in range(300)), packer.flush()])
    spec = file.attachments["results.json"].obj
    spec.EF.F.write(packed, filter=pikepdf.Name.FlateDecode)
    spec.EF.UF = spec.EF.F
    return saved(file)


def a_tree_that_is_its_own_branch() -> bytes:
    file = blank(results_json=b"{}")
    tree = file.make_indirect(pikepdf.Dictionary())
    tree.Kids = pikepdf.Array([tree])
    file.Root.Names.EmbeddedFiles = tree
    return saved(file)


def encrypted() -> bytes:
    return saved(blank(results_json=b"{}"), encryption=pikepdf.Encryption(owner="o", user="u"))


WHOLE = saved(blank(results_json=b"{}"))
NO_REPORTS = {
    "no-attachment": (saved(blank()), "no results.json is attached"),
    "two": (two_of_a_name(), "2 attachments are called results.json"),
    "bomb": (a_bomb(), "broken PDF"),
    "circle": (a_tree_that_is_its_own_branch(), "no results.json is attached"),
    "encrypted": (encrypted(), "it is encrypted"),
    "cut": (WHOLE[: len(WHOLE) // 2], "broken PDF"),
    "head-only": (b"%PDF-1.7\n", "broken PDF"),
    "noise": (b"%PDF-1.7\n" + bytes(range(256)) * 50, "broken PDF"),
    "no-pdf": (b"<html>", "it is no PDF"),
    "empty": (b"", "it is no PDF"),
    "no-results": (WHOLE, "not the results of an audit"),
    "binary": (saved(blank(results_json=b"\xff\xfe")), "broken PDF"),
}


@pytest.mark.parametrize("name", NO_REPORTS)
def test_a_pdf_that_is_no_report_gets_one_message(name, tmp_path, monkeypatch, capsys, caplog):
    content, wanted = NO_REPORTS[name]
    (tmp_path / "not-a-report.pdf").write_bytes(content)
    begun = time.process_time()
    code, out, err = outcome(["verify", "not-a-report.pdf"], monkeypatch, capsys)
    assert_one_message(code, 4, wanted, out, err)
    assert time.process_time() - begun < 5
    assert not caplog.records  # without handlers, as outside of tests, they would be printed


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        ("nothing.json", None, "nothing.json: cannot be read"),
        ("other.json", "{}", "not the results of an audit"),
        ("list.json", "[1]", "not the results of an audit"),
        (
            "twice.json",
            a_sealed_audit().to_json().replace('"seconds"', '"seconds": 1.0, "seconds"'),
            "it has 'seconds' twice",
        ),
        ("deep.json", '{"a":' * 100_000, "not the results of an audit"),
    ],
)
def test_a_text_that_is_no_report_gets_one_message(name, text, wanted, tmp_path, monkeypatch, capsys):
    if text is not None:
        (tmp_path / name).write_text(text, encoding="utf-8")
    code, out, err = outcome(["verify", name], monkeypatch, capsys)
    assert_one_message(code, 4, wanted, out, err)


def test_pages_that_draw_pages_without_end_come_to_an_end(tmp_path):
    report = write(tmp_path, a_sealed_audit())
    with pikepdf.open(report, allow_overwriting_input=True) as file:
        form = file.make_stream(b"q Q " * 1000)
        form.Type, form.Subtype, form.BBox = pikepdf.Name.XObject, pikepdf.Name.Form, pikepdf.Array([0, 0, 1, 1])
        for _ in range(30):  # each draws the one below it ten times: 10^30 steps
            below, form = form, file.make_stream(b"/X Do " * 10)
            form.Type, form.Subtype, form.BBox = pikepdf.Name.XObject, pikepdf.Name.Form, pikepdf.Array([0, 0, 1, 1])
            form.Resources = pikepdf.Dictionary(XObject=pikepdf.Dictionary(X=below))
        page = file.pages[0]
        page.Resources.XObject = pikepdf.Dictionary(X=form)
        page.contents_add(b"/X Do")
        file.save(report)
    begun = time.process_time()
    assert pages(report) == ("altered", "page 1: a picture")
    assert time.process_time() - begun < 20


def test_a_page_that_takes_forever_to_read_is_not_read(tmp_path):
    report = write(tmp_path, a_sealed_audit())
    with pikepdf.open(report, allow_overwriting_input=True) as file:
        file.pages[0].contents_add(b"0 0 m " * 2_000_000)
        file.save(report)
    with pytest.raises(ResultsError, match="page 1 takes more than 10,000,000 bytes to draw"):
        list(verify(report, None, TODAY))


# ------------------------------------------------------------------------------------------------------ the exit codes


def last(err: str) -> str:
    return err.splitlines()[-1]


def test_verified_is_0_altered_1_and_open_3(tmp_path, monkeypatch, capsys):
    write(tmp_path, a_sealed_audit())
    code, out, err = outcome(["verify", "report.pdf", "--model", "model.safetensors"], monkeypatch, capsys)
    assert (code, last(err)) == (0, "landscape-audit: VERIFIED  7 verified, 0 altered, 0 open  (exit 0)")
    assert [line[0] for line in out.splitlines()] == ["✓"] * 7
    (tmp_path / "model.safetensors").write_bytes(CHECKPOINT[:-1])
    code, out, err = outcome(["verify", ".", "--model", "."], monkeypatch, capsys)
    assert (code, last(err)) == (1, "landscape-audit: ALTERED  6 verified, 1 altered, 0 open  (exit 1)")
    document = json.loads((tmp_path / "results.json").read_text())
    del document["seal"], document["run"]["seal"]
    (tmp_path / "results.json").write_text(json.dumps(document))
    code, out, err = outcome(["verify", "results.json"], monkeypatch, capsys)
    assert code == 3
    assert last(err) == "landscape-audit: UNDECIDED  3 verified, 0 altered, 1 open, 1 not compared  (exit 3)"


def test_a_checkpoint_that_is_not_there_is_exit_code_4(tmp_path, monkeypatch, capsys):
    write(tmp_path, a_sealed_audit())
    code, _, err = outcome(["verify", "results.json", "--model", "nothing.safetensors"], monkeypatch, capsys)
    assert code == 4
    assert "nothing.safetensors: no such file" in err


def test_hostile_words_reach_no_terminal_as_they_are(tmp_path, monkeypatch, capsys):
    forged = a_sealed_audit().to_json().replace("the release manager", "\\u001b[2J\\u202e")
    odd = json.dumps({**json.loads(forged), "\x1b[31m": 1})
    (tmp_path / "results.json").write_text(odd, encoding="utf-8")
    code, out, err = outcome(["verify", "results.json"], monkeypatch, capsys)
    assert code == 1
    assert not [character for character in out + err if character in "\x1b\u202e"]


# ------------------------------------------------------------------------------------------------------- other versions


FEW = a_sealed_audit({}, checks=(a_check("sharpness", Measured(estimates={"lambda_2": an_estimate(22.875)})),))


def rendered_elsewhere(results: AuditResults, monkeypatch, software: str) -> bytes:
    with monkeypatch.context() as patch:
        patch.setattr(paper, "renderer", lambda: software)
        return printed.__wrapped__(results.to_json())


def pages(report) -> tuple[str, str]:
    return next((each.word, each.says) for each in verify(report, None, TODAY) if each.step == "pages")


def test_where_other_software_rendered_it_only_the_text_is_compared_and_that_is_said(tmp_path, monkeypatch):
    report = write(tmp_path, FEW)
    older = paper.renderer().replace("Pango ", "Pango 9")
    report.write_bytes(rendered_elsewhere(FEW, monkeypatch, older))
    word, says = pages(report)
    assert word == "open"
    assert "other software than there is here (Pango 9" in says
    assert says.endswith("the text is the same, pictures were not compared")
    forged = sealed(AuditResults.model_validate_json(FEW.to_json().replace("22.875", "21.875")))
    report.write_bytes(rendered_elsewhere(forged, monkeypatch, older))
    with pikepdf.open(report, allow_overwriting_input=True) as file:
        text = FEW.to_json().encode()
        file.attachments["results.json"] = pikepdf.AttachedFileSpec(file, text, filename="results.json")
        file.save(report)
    word, says = pages(report)
    assert word == "altered"
    assert says.startswith("page 1: 'Hessian eigenvalue 2 from the top: 21.88")
    assert "differs from what its results give" in says


def test_where_the_pdf_cannot_be_rendered_here_the_rest_is_still_verified(tmp_path, monkeypatch):
    def no_pango(*_):
        raise CapabilityError("PDF: WeasyPrint cannot load Pango.", remedy="…")

    report = write(tmp_path, a_sealed_audit())
    monkeypatch.setattr(paper, "pdf", no_pango)
    found = {each.step: each.word for each in verify(report, None, TODAY)}
    assert found["pages"] == "open"
    assert {found[name] for name in ("seal", "verdict", "attachments")} == {"verified"}


# ----------------------------------------------------------------------------------------------------- shards, no torch


def test_every_shard_and_the_index_are_compared_with_what_was_audited(tmp_path):
    import hashlib

    from landscape_audit.results import FileRecord

    contents = {
        "model.safetensors.index.json": b'{"weight_map": {"a": "m-1.safetensors", "b": "m-2.safetensors"}}',
        "m-1.safetensors": b"one",
        "m-2.safetensors": b"two",
    }
    files = tuple(
        FileRecord(name=name, sha256=hashlib.sha256(each).hexdigest(), size_bytes=len(each))
        for name, each in contents.items()
    )
    audit = a_sealed_audit()
    whole = sealed(audit.model_copy(update={"subject": audit.subject.model_copy(update={"files": files})}))
    (tmp_path / "results.json").write_text(whole.to_json(), encoding="utf-8")
    model = tmp_path / "model"
    model.mkdir()
    for name, each in contents.items():
        (model / name).write_bytes(each)

    def step():
        return next(each for each in verify(tmp_path, model, TODAY) if each.step == "checkpoint")

    assert (step().word, step().says) == ("verified", "3 files with the SHA-256 that was audited")
    (model / "m-2.safetensors").write_bytes(b"too")
    assert (step().word, step().says) == ("altered", "other than audited: 'm-2.safetensors'; missing: none")


def test_verifying_needs_neither_torch_nor_a_network(tmp_path):
    write(tmp_path, FEW)
    code = (
        "import sys, datetime, pathlib\n"
        "from landscape_audit.verification.verification import verify\n"
        "sys.addaudithook(lambda event, _: event.startswith('socket.') and sys.exit('a socket'))\n"
        "report, model = map(pathlib.Path, ('report.pdf', 'model.safetensors'))\n"
        "found = list(verify(report, model, datetime.date(2026, 3, 3)))\n"
        "assert {each.word for each in found} == {'verified'}, found\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, env=os.environ)


def test_the_same_results_give_the_same_pdf_in_another_process(tmp_path):
    report = write(tmp_path, FEW)
    (tmp_path / "site").mkdir()
    code = "from landscape_audit.cli.main import main; main()"
    arguments = ["report", "results.json", "--out", "site"]
    subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=tmp_path, check=True, env=os.environ, capture_output=True
    )
    assert (tmp_path / "site/report.pdf").read_bytes() == report.read_bytes()


def test_what_the_pdf_library_says_of_a_foreign_file_reaches_no_terminal(tmp_path, caplog):
    path = tmp_path / "report.pdf"
    path.write_bytes(b"%PDF-1.7\n")  # of which it warns that its end is missing
    with pytest.raises(ResultsError, match="broken PDF"):
        list(verify(path, None, dt.date(2026, 3, 2)))
    assert not caplog.records
