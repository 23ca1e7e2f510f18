"""`landscape-audit card`: an audit on a model card, and everything else of the card as it was, to the byte."""

from __future__ import annotations

import datetime as dt
import difflib
import hashlib
import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import assert_one_message, outcome
from hostile_audit import an_audit_with_everything
from huggingface_hub import ModelCard
from model_cards import CARDS
from results_factory import OUTCOMES, SHA256, an_audit

from landscape_audit.gates.judge import judged
from landscape_audit.ids import HEADLINES
from landscape_audit.policy import Policy
from landscape_audit.results import FileRecord

ROOT = Path(__file__).parents[2]
COMMAND = ["card", "audit/results.json", "README.md"]
BROKEN = {
    "---\nlicense: [mit\ntags: x\n---\n": "front matter: line 3 is not YAML",
    "---\nlicense: mit\n": "line 1 begins front matter that does not end",
    "\n--- \nlicense: mit\n---\n": "line 2 begins front matter that does not end",
    "---\nlicense: mit\ntags: x\nlicense: mit\n---\n": "line 4 has 'license' again, which is on line 2 too",
    "---\n- license\n---\n": "line 2 is not a list of  key: value  lines",
    '---\n{"license": "mit"}\n---\n': "line 2 is not a list of  key: value  lines",
    "---\na: &x [1]\nmodel-index: *x\n---\n": "line 3 has an alias in model-index",
    "---\na: &x {name: m, results: []}\nmodel-index:\n- *x\n---\n": "line 3 has an alias in model-index",
    "---\nmodel-index: 3\n---\n": "line 2 has a model-index that is no list",
    "---\nmodel-index: {name: m}\n---\n": "line 2 has a model-index that is no list",
    "---\nmodel-index: [{name: m, results: []}]\n---\n": "line 2 has a model-index in brackets",
    "---\nmodel-index:\n- m\n---\n": "line 3 has something in model-index that is no table",
    "---\nmodel-index:\n- results: []\n---\n": "line 3 is a model of model-index without a name",
    "---\nmodel-index:\n- name: m\n---\n": "line 3 is a model of model-index without a list of results",
    "---\nlicense: mit\n...\n---\n": "leaves no room for model-index after it",
    "---\nlicense: mit\n" + "a: " + "[" * 1000 + "\n---\n": "line 2 begins what is nested too deeply",
    "---\nlicense: m\x07t\n---\n": "line 2 has the character U+0007",
    "---\nlicense: mit\n---\n\n```python\nx = 1\n": "line 5 does not end, and would swallow the audit",
    "# Card\n\n<!-- to do\n": "line 3 does not end, and would swallow the audit",
    "# Card\n\n<!-- landscape-audit:begin -->\n": "do not enclose one block: begin on line 3",
    "<!-- landscape-audit:end -->\n<!-- landscape-audit:begin -->\n": "end on line 1, begin on line 2",
    "<!-- landscape-audit:begin -->\n" * 2 + "<!-- landscape-audit:end -->\n": "begin on line 1, begin on line 2, end",
    "---\na: b\n---\n<div>\n<!-- landscape-audit:begin -->\n</div>\n": "on line 5 is inside other HTML",
    "> <!-- landscape-audit:begin -->\n": "on line 1 is inside other HTML, a list or a quotation",
}


@pytest.fixture
def audit(tmp_path, monkeypatch):
    """An audit and its reports in `audit`, in the current folder."""
    monkeypatch.chdir(tmp_path)
    Path("audit").mkdir()
    Path("audit/report.pdf").write_bytes(b"%PDF-")
    store(an_audit())
    return Path("audit/results.json")


def store(results, name="audit/results.json"):
    Path(name).write_text(results.to_json(), encoding="utf-8")


def flatter():
    """The same audit with another loss."""
    loss = OUTCOMES["loss"].model_copy(deep=True)
    loss.estimates["value"] = loss.estimates["value"].model_copy(update={"value": 0.08})
    return an_audit({"loss": loss})


def written(text, monkeypatch, capsys, command=COMMAND):
    """The bytes of the card after the command."""
    if text is not None:
        Path("README.md").write_bytes(text.encode())
    code, out, err = outcome(command, monkeypatch, capsys)
    assert (code, out, err) == (0, "README.md\n", "")
    return Path("README.md").read_bytes()


def checked(monkeypatch, capsys, *more):
    code, out, err = outcome([*COMMAND, "--check", *more], monkeypatch, capsys)
    assert out == ""
    assert err.splitlines()[-1] == f"landscape-audit: {'STALE' if code else 'FRESH'}  README.md  (exit {code})"
    return code, err


def ours(path="README.md"):
    found = ModelCard.load(path).data.eval_results
    return {each.metric_type: each for each in found if each.metric_type.startswith("landscape_audit.")}


@pytest.mark.usefixtures("audit")
@pytest.mark.parametrize("name", CARDS)
def test_a_card_keeps_every_line_of_its_own_and_gains_ours(name, monkeypatch, capsys):
    before = CARDS[name].encode()
    after = written(CARDS[name], monkeypatch, capsys)
    changes = difflib.SequenceMatcher(a=before, b=after, autojunk=False).get_opcodes()
    assert {kind for kind, *_ in changes} <= {"equal", "insert"} | ({"delete"} if name == "no models" else set())
    assert b"".join(before[start:end] for kind, start, end, *_ in changes if kind == "delete") in {b"", b" []", b"[] "}
    if b"\r\n" in before:
        assert after.count(b"\n") == after.count(b"\r\n")
    assert written(None, monkeypatch, capsys) == after
    assert checked(monkeypatch, capsys)[0] == 0


@pytest.mark.usefixtures("audit")
@pytest.mark.parametrize("name", CARDS)
def test_the_hubs_own_library_reads_our_numbers_beside_those_of_others(name, monkeypatch, capsys):
    Path("README.md").write_bytes(CARDS[name].encode())
    theirs = ModelCard.load("README.md")
    written(CARDS[name], monkeypatch, capsys)
    card, found = ModelCard.load("README.md"), ours()
    estimates = an_audit().estimates()
    assert [(each.metric_args["id"], each.metric_value) for each in found.values()] == [
        (key, estimates[key].value) for key in HEADLINES if key in estimates
    ]
    args = found["landscape_audit.lambda_max"].metric_args
    assert (args["low"], args["high"], args["n"]) == (29.6216, 32.8618, 450)
    assert {each.source_url for each in found.values()} == {"audit/report.pdf"}
    assert [each for each in card.data.eval_results if each.metric_type not in found] == (
        theirs.data.eval_results or []
    )
    rest = (each.data.to_dict() for each in (card, theirs))
    hidden = {"model-index", "model_name"}  # the second is shown only where there is none of the first
    assert len({repr({key: value for key, value in each.items() if key not in hidden}) for each in rest}) == 1
    assert card.data.model_name == (theirs.data.get("model_name") or Path.cwd().name)


@pytest.mark.usefixtures("audit")
@pytest.mark.parametrize("name", CARDS)
def test_newer_results_replace_what_was_there(name, monkeypatch, capsys):
    first = written(CARDS[name], monkeypatch, capsys)
    store(flatter())
    code, err = checked(monkeypatch, capsys)
    assert code == 1
    assert "its block is of other results" in err
    assert "the entries in its model-index are not those of these results" in err
    assert Path("README.md").read_bytes() == first
    second = written(None, monkeypatch, capsys)
    assert ours()["landscape_audit.loss"].metric_value == 0.08
    assert checked(monkeypatch, capsys)[0] == 0
    store(an_audit())
    assert written(None, monkeypatch, capsys) == first != second


@pytest.mark.usefixtures("audit")
def test_a_block_stays_where_it_was_moved_to(monkeypatch, capsys):
    text = written("# A\n\n# B\n", monkeypatch, capsys).decode()
    front, block = text[: text.index("# A")], text[text.index("<!--") :]
    moved = f"{front}# A\n<details>\n\n{block}\n</details>\n\n# B\n"
    assert written(moved, monkeypatch, capsys).decode() == moved
    store(flatter())
    assert written(None, monkeypatch, capsys).decode().endswith("\n<!-- landscape-audit:end -->\n\n</details>\n\n# B\n")


@pytest.mark.usefixtures("audit")
def test_entries_that_the_hubs_library_wrote_anew_are_still_ours(monkeypatch, capsys):
    written(CARDS["sentence-transformers"], monkeypatch, capsys)
    ModelCard.load("README.md").save("README.md")
    assert Path("README.md").read_text().count("- name:") < 5, "it puts all into one model"
    store(flatter())
    written(None, monkeypatch, capsys)
    card = ModelCard.load("README.md")
    types = [each.metric_type for each in card.data.eval_results]
    assert len(types) == len(set(types)) + 1, "one of theirs is there twice, none of ours"
    assert ours()["landscape_audit.loss"].metric_value == 0.08
    assert checked(monkeypatch, capsys)[0] == 0


@pytest.mark.usefixtures("audit")
def test_without_headline_numbers_there_are_no_entries_of_ours(monkeypatch, capsys):
    written(CARDS["trainer"], monkeypatch, capsys)
    store(an_audit(checks=()))
    after = written(None, monkeypatch, capsys).decode()
    assert after.startswith(CARDS["trainer"])
    written(CARDS["null"], monkeypatch, capsys)
    assert ModelCard.load("README.md").data.eval_results is None


@pytest.mark.usefixtures("audit")
def test_a_number_that_is_not_finite_is_in_the_text_and_no_entry(monkeypatch, capsys):
    loss = OUTCOMES["loss"].model_copy(deep=True)
    loss.estimates["value"] = loss.estimates["value"].model_copy(
        update={"value": None, "low": None, "high": None, "nonfinite": "nan"}
    )
    store(an_audit({"loss": loss}))
    assert rb"not finite" in written("", monkeypatch, capsys)
    assert "landscape_audit.loss" not in ours()


@pytest.mark.usefixtures("audit")
@pytest.mark.parametrize("text", BROKEN, ids=BROKEN.values())
def test_a_card_that_could_be_harmed_is_left_alone(text, monkeypatch, capsys):
    Path("README.md").write_bytes(text.encode())
    for more in ([], ["--check"]):
        code, out, err = outcome([*COMMAND, *more], monkeypatch, capsys)
        assert_one_message(code, 4, BROKEN[text], out, err)
        assert "README.md: " in err
    assert Path("README.md").read_bytes() == text.encode()


@pytest.mark.usefixtures("audit")
def test_what_is_not_utf_8_is_left_alone(monkeypatch, capsys):
    Path("README.md").write_bytes("# Modèle\n".encode("latin-1"))
    assert_one_message(*_with(4, "not UTF-8: byte 5 is 0xe8", outcome(COMMAND, monkeypatch, capsys)))
    assert Path("README.md").read_bytes() == "# Modèle\n".encode("latin-1")


def _with(expected, wanted, found):
    code, out, err = found
    return code, expected, wanted, out, err


@pytest.mark.usefixtures("audit")
@pytest.mark.parametrize(
    ("command", "expected", "wanted"),
    [
        (["card", "README.md"], 4, "README.md: cannot be read"),
        (["card", "audit", "nowhere/README.md"], 2, "nowhere: no such folder"),
        (["card", "README.md", "audit/results.json"], 2, "not the name of a model card"),
        (["card", "audit", "README.md", "more.md"], 2, "more.md"),
        (["card", "audit/report.pdf", "README.md"], 4, "audit/report.pdf: not the results of an audit"),
        (["card", "nothing.json", "README.md"], 4, "nothing.json: cannot be read"),
        (["card", "audit", "x" * 300 + ".md"], 2, "cannot be written"),
        (["card", "x" * 300, "README.md"], 4, "cannot be read"),
        (["card", "audit", "README.md", "--model", "x" * 300], 4, "cannot be read"),
        (["card", "audit", "README.md", "--model", "m.safetensors"], 4, "m.safetensors: no such file"),
    ],
    ids=str,
)
def test_a_mistake_gets_one_message_and_no_card(command, expected, wanted, monkeypatch, capsys):
    assert_one_message(*_with(expected, wanted, outcome(command, monkeypatch, capsys)))
    assert not Path("README.md").exists()


@pytest.mark.usefixtures("audit")
def test_gates_and_waivers_are_on_the_card(monkeypatch, capsys):
    waiver = {"gate": "loss.value", "reason": "known", "approver": "Ada", "expires": "2026-12-31"}
    gates = {
        "loss.value": {"at_most": 0.01, "why": "as before"},
        "sharpness.lambda_max": {"at_most": 50, "why": "2 / lr"},
    }
    policy = Policy.model_validate({"gates": gates, "waivers": [waiver | {"checkpoint_sha256": SHA256}]})
    store(judged(an_audit(), policy, dt.date(2026, 1, 1)))
    text = written("", monkeypatch, capsys).decode().replace("\\", "")
    assert "| ~ waived | loss.value | 0.0914 (0.0603 to 0.1225) | at most 0.01 |" in text
    assert "Waived by Ada until 2026-12-31: known | as before |" in text
    assert "| ✓ passed | sharpness.lambda_max | 31.24 (29.62 to 32.86) | at most 50 |" in text


@pytest.mark.usefixtures("audit")
def test_the_card_alone_names_its_results(monkeypatch, capsys):
    Path("docs").mkdir()
    folder = Path("au dit (1) -- 100%'\"<b>`|")
    Path("audit").rename(folder)
    outcome(["card", str(folder), "docs/card.md"], monkeypatch, capsys)
    text = Path("docs/card.md").read_text()
    assert "](../au%20dit%20%281%29%20--%20100%25%27%22%3Cb%3E%60%7C/report.pdf)" in text
    assert outcome(["card", "--check", "docs/card.md"], monkeypatch, capsys)[0] == 0
    store(flatter(), folder / "results.json")
    assert outcome(["card", "docs/card.md", "--check"], monkeypatch, capsys)[0] == 1
    assert outcome(["card", "docs/card.md"], monkeypatch, capsys)[0] == 0
    assert outcome(["card", "--check", "docs/card.md"], monkeypatch, capsys)[0] == 0


@pytest.mark.usefixtures("audit")
@pytest.mark.parametrize("named", ["", "a%00b", "a%0ab"])
def test_a_card_that_names_no_results_says_so(named, monkeypatch, capsys):
    text = f'<!-- landscape-audit:begin results="{named}" -->\n<!-- landscape-audit:end -->\n'
    Path("README.md").write_text(text)
    assert_one_message(*_with(4, "no audit is on it that names", outcome(["card", "README.md"], monkeypatch, capsys)))


@pytest.mark.usefixtures("audit")
def test_check_says_what_is_stale(monkeypatch, capsys):
    assert "README.md: it is not there." in checked(monkeypatch, capsys)[1]
    Path("README.md").write_text("# A card\n")
    assert "README.md: no audit is on it." in checked(monkeypatch, capsys)[1]
    after = written(None, monkeypatch, capsys)
    Path("README.md").write_bytes(after.replace(b"0\\.0914", b"0\\.0001"))
    code, err = checked(monkeypatch, capsys)
    assert (code, "its block is not what is written for these results" in err) == (1, True)
    assert "model-index" not in err
    Path("README.md").write_bytes(after.replace(b"value: 0.0914", b"value: 0.0001"))
    code, err = checked(monkeypatch, capsys)
    assert (code, "the entries in its model-index are not" in err, "block" in err) == (1, True, False)


@pytest.mark.usefixtures("audit")
def test_check_with_a_model_holds_the_checkpoint_against_the_results(monkeypatch, capsys):
    model = Path("weights.safetensors")
    model.write_bytes(b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()
    record = FileRecord(name="model.safetensors", sha256=digest, size_bytes=7)
    subject = an_audit().subject.model_copy(update={"files": (record,)})
    store(an_audit(subject=subject))
    written("", monkeypatch, capsys)
    assert checked(monkeypatch, capsys, "--model", "weights.safetensors")[0] == 0
    model.write_bytes(b"weightz")
    code, err = checked(monkeypatch, capsys, "--model", "weights.safetensors")
    assert (code, "the results are not of weights.safetensors" in err) == (1, True)
    before = Path("README.md").read_bytes()
    refused = outcome([*COMMAND, "--model", "weights.safetensors"], monkeypatch, capsys)
    assert_one_message(*_with(4, "README.md: nothing was written: the results are not of", refused))
    assert Path("README.md").read_bytes() == before


@pytest.mark.usefixtures("audit")
def test_one_changed_shard_is_another_checkpoint(monkeypatch, capsys):
    index = b'{"weight_map": {"one": "a.safetensors", "two": "b.safetensors"}}'
    files = {"model.safetensors.index.json": index, "a.safetensors": b"a", "b.safetensors": b"b"}
    Path("model").mkdir()
    for name, content in files.items():
        Path("model", name).write_bytes(content)
    records = [
        {"name": name, "sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}
        for name, content in files.items()
    ]
    results = json.loads(an_audit().to_json())
    results["subject"]["files"] = records
    Path("audit/results.json").write_text(json.dumps(results))
    written("", monkeypatch, capsys)
    for named in ("model", "model/model.safetensors.index.json"):
        Path("model/b.safetensors").write_bytes(b"b")
        assert checked(monkeypatch, capsys, "--model", named)[0] == 0
        Path("model/b.safetensors").write_bytes(b"c")
        assert checked(monkeypatch, capsys, "--model", named)[0] == 1


@pytest.mark.usefixtures("audit")
def test_a_report_that_is_not_there_gets_no_link(monkeypatch, capsys):
    Path("audit/report.html").write_text("")
    assert b"[as HTML](audit/report.html)" in written("", monkeypatch, capsys)
    Path("audit/report.pdf").unlink()
    assert b"report.pdf" not in written(None, monkeypatch, capsys)
    assert ours()["landscape_audit.loss"].source_url == "audit/report.html"
    Path("audit/report.html").unlink()
    assert b"report.html" not in written(None, monkeypatch, capsys)
    assert ours()["landscape_audit.loss"].source_url is None


@pytest.mark.usefixtures("audit")
def test_a_link_stays_a_link_and_permissions_stay(monkeypatch, capsys):
    Path("real.md").write_text("# Card\n")
    Path("real.md").chmod(0o640)
    Path("README.md").symlink_to("real.md")
    written(None, monkeypatch, capsys)
    assert Path("README.md").is_symlink()
    assert "landscape-audit:end" in Path("real.md").read_text()
    assert stat.S_IMODE(Path("real.md").stat().st_mode) == 0o640
    when = Path("real.md").stat().st_mtime_ns
    written(None, monkeypatch, capsys)
    assert Path("real.md").stat().st_mtime_ns == when, "what is fresh is not written"


@pytest.mark.usefixtures("audit")
def test_a_link_to_what_is_no_card_is_not_written_through(monkeypatch, capsys):
    Path("authorized_keys").write_text("ssh-ed25519 AAAA me\n")
    Path("README.md").symlink_to("authorized_keys")
    code, out, err = outcome(["card", "audit", "README.md"], monkeypatch, capsys)
    assert_one_message(code, 2, "README.md: is a link to ", out, err)
    assert Path("authorized_keys").read_text() == "ssh-ed25519 AAAA me\n"


@pytest.mark.usefixtures("audit")
def test_a_missing_library_is_named_with_its_extra(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    found = outcome(COMMAND, monkeypatch, capsys)
    assert_one_message(*_with(2, "huggingface_hub", found))
    assert ".[card]" in found[2]


@pytest.mark.usefixtures("audit")
def test_a_card_needs_neither_torch_nor_numpy_nor_matplotlib():
    store(an_audit_with_everything())
    code = (
        "import sys; from landscape_audit.cli.main import main\n"
        f"sys.argv = ['landscape-audit', *{COMMAND!r}]\n"
        "try: main()\nexcept SystemExit as ended: assert not ended.code\n"
        "print({'torch', 'numpy', 'matplotlib', 'transformers'} & set(sys.modules))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": str(ROOT)}
    )
    assert run.stdout == "README.md\nset()\n"
