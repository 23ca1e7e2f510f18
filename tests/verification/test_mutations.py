"""Whatever one changes in a report is found and named by its place; what nobody touched raises no alarm."""

from __future__ import annotations

import datetime as dt
import io
import json
from collections.abc import Iterator

import pikepdf
import pytest
from hostile_audit import an_audit_with_everything
from results_factory import an_audit
from sealed_audit import CHECKPOINT, a_sealed_audit, printed, several_audits, write

from landscape_audit.report import pdf as paper
from landscape_audit.report.write import write_reports
from landscape_audit.results import AuditResults
from landscape_audit.seal import sealed
from landscape_audit.verification.verification import Finding, verify

TODAY = dt.date(2026, 3, 3)


@pytest.fixture(autouse=True)
def _equal_results_are_rendered_once(monkeypatch):
    monkeypatch.setattr(paper, "pdf", lambda _, results: printed(results.to_json()))


def altered(path, model=None) -> list[Finding]:
    return [finding for finding in verify(path, model, TODAY) if finding.word == "altered"]


def places(found: list[Finding]) -> str:
    return " | ".join(f"{finding.step}: {finding.says}" for finding in found)


# ------------------------------------------------------------------------------------------- in results.json

IN_RESULTS = [
    (("schema_version",), "1.7", "schema_version"),
    (("verdict", "word"), "PASS", "verdict"),
    (("verdict", "sentence"), "All is well.", "verdict"),
    (("verdict", "exit_code"), 1, "verdict"),
    (("verdict", "failed"), 7, "verdict"),
    (("run", "started"), "2026-03-01T09:14:05+00:00", "run"),
    (("run", "finished"), "2026-03-02T09:16:48+00:00", "run"),
    (("run", "argv", 2), "other.safetensors", "run"),
    (("run", "probe_seconds", "krylov"), 1.0, "run"),
    (("subject", "files", 0, "sha256"), "0" * 64, "subject"),
    (("subject", "files", 0, "name"), "better.safetensors", "subject"),
    (("subject", "tensor_digest"), "0" * 64, "subject"),
    (("subject", "parameters"), 11_819, "subject"),
    (("data", "n_samples"), 4500, "data"),
    (("data", "fingerprint"), "1" * 64, "data"),
    (("data", "draw_seed"), 1, "data"),
    (("protocol", "seed"), 1, "protocol"),
    (("protocol", "level"), 0.99, "protocol"),
    (("protocol", "budgets", "lanczos_steps"), 96, "protocol"),
    (("protocol", "adjustments"), ["none"], "protocol"),
    (("environment", "torch"), "2.12.0", "environment"),
    (("environment", "packages", "numpy"), "2.2.2", "environment"),
    (("environment", "deterministic"), False, "environment"),
    (("instrument", "agrees"), False, "instrument"),
    (("checks", 1, "outcome", "estimates", "value", "value"), 0.0915, "checks.loss"),
    (("checks", 4, "outcome", "estimates", "lambda_max", "low"), 31.0, "checks.sharpness"),
    (("checks", 4, "outcome", "estimates", "lambda_max", "parts", 1, "high"), 32.0, "checks.sharpness"),
    (("checks", 4, "outcome", "caveats"), [], "checks.sharpness"),
    (("checks", 2, "outcome", "labels", "class", "value"), "minimum", "checks.stationarity"),
    (("checks", 6, "version"), 2, "checks.trace"),
    (("policy", "gates", "sharpness.lambda_max", "at_most"), 60.0, "policy"),
    (("policy", "gates", "loss.value", "why"), "because", "policy"),
    (("policy", "waivers", 0, "expires"), "2027-04-01", "policy"),
    (("policy", "waivers", 0, "approver"), "somebody", "policy"),
    (("policy", "require", "n_samples"), 1, "policy"),
    (("gates", 0, "found"), "0.04", "gates"),
    (("gates", 0, "limit_high"), 0.2, "gates"),
    (("baseline", "estimates", "loss.metric", "value"), 0.965, "baseline"),
    (("limits",), [], "limits"),
    (("partial",), "half", "partial"),
    (("skipped",), ["ggn"], "skipped"),
    (("seal", "data"), "0" * 64, "data"),
]


@pytest.mark.parametrize(("path", "value", "place"), IN_RESULTS, ids=lambda value: str(value)[:40])
def test_one_field_of_the_results_is_changed_and_its_section_is_named(tmp_path, path, value, place):
    document = json.loads(a_sealed_audit().to_json())
    inner = document
    for step in path[:-1]:
        inner = inner[step]
    assert inner[path[-1]] != value
    inner[path[-1]] = value
    file = tmp_path / "results.json"
    file.write_text(json.dumps(document), encoding="utf-8")
    assert altered(file)[0] == Finding("seal", "altered", f"changed since they were written: {place}")


# --------------------------------------------------------------------------------- sealed again by whoever changed it


def resealed(**changes) -> AuditResults:
    return sealed(a_sealed_audit().model_copy(update=changes))


def forgeries() -> Iterator[tuple[str, AuditResults, str]]:
    true = a_sealed_audit()
    yield "verdict", resealed(verdict=true.verdict.model_copy(update={"word": "PASS"})), "word is 'PASS'; its numbers"
    yield "gate", resealed(gates=true.gates[1:]), "gates: it has"
    undecided = next(gate for gate in true.gates if gate.status == "undecided")
    as_passed = tuple(g.model_copy(update={"status": "pass"}) if g == undecided else g for g in true.gates)
    yield "status", resealed(gates=as_passed), f"gate {undecided.key}: status is 'pass'"
    lax = true.policy.model_copy(update={"gates": {k: g for k, g in true.policy.gates.items() if k != "trace.trace"}})
    yield "policy", resealed(policy=lax), "gates: it has"
    strange = true.policy.model_copy(update={"gates": {"lost.value": true.policy.gates["loss.value"]}, "waivers": ()})
    yield "no gate", resealed(policy=strange), "its policy cannot be applied to its numbers: gate 'lost.value'"


FORGERIES = list(forgeries())


@pytest.mark.parametrize(
    ("_name", "forged", "wanted"), FORGERIES, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_new_seal_does_not_make_a_verdict_follow_from_its_numbers(tmp_path, _name, forged, wanted):
    (tmp_path / "results.json").write_text(forged.to_json(), encoding="utf-8")
    assert wanted in places(altered(tmp_path / "results.json"))


# -------------------------------------------------------------------------------------------- in the PDF and around it


def edited(content: bytes, change) -> bytes:
    with pikepdf.open(io.BytesIO(content)) as file:
        change(file)
        saved = io.BytesIO()
        file.save(saved)
    return saved.getvalue()


def attach(name, text):
    def change(file):
        file.attachments[name] = pikepdf.AttachedFileSpec(file, text.encode(), filename=name)

    return change


def attach_a_number(file):
    text = bytes(file.attachments["results.json"].get_file().read_bytes()).decode()
    attach("results.json", text.replace("31.2417", "30.2417"))(file)


def attach_a_resealed_number(file):
    forged = AuditResults.model_validate_json(
        a_sealed_audit().to_json().replace("22.875", "12.875").replace("24.075", "14.075").replace("21.675", "11.675")
    )
    attach("results.json", sealed(forged).to_json())(file)


def attach_another_audits(file):
    attach("results.json", several_audits()[1].to_json())(file)


def attach_another_policy(file):
    attach("policy.json", a_sealed_audit().policy.model_dump_json(indent=1).replace("50.0", "90.0"))(file)


def attach_more(file):
    attach("notes.txt", "all is well")(file)


def remove_the_policy(file):
    del file.attachments["policy.json"]


def rewrite_text(file):
    """Two letters on page 1 change places."""
    page = file.pages[0]
    steps = list(pikepdf.parse_content_stream(page))
    place = next(i for i, (operands, operator) in enumerate(steps) if str(operator) == "TJ" and len(operands[0]) > 4)
    line = list(steps[place][0][0])
    first, other = [i for i, each in enumerate(line) if isinstance(each, pikepdf.String) and bytes(each)][:2]
    line[first], line[other] = line[other], line[first]
    steps[place] = ([pikepdf.Array(line)], pikepdf.Operator("TJ"))
    page.Contents = file.make_stream(pikepdf.unparse_content_stream(steps))


def draw_over(file):
    file.pages[1].contents_add(b"1 1 1 rg 0 0 400 400 re f")


def lay_a_note_over(file):
    note = pikepdf.Dictionary(
        Type=pikepdf.Name.Annot, Subtype=pikepdf.Name.FreeText, Rect=[0, 0, 300, 300], Contents="PASS"
    )
    file.pages[0].Annots = pikepdf.Array([file.make_indirect(note)])


def drop_a_page(file):
    del file.pages[-1]


def rename(file):
    file.docinfo["/Title"] = "PASS: another model"


def redate(file):
    file.docinfo["/CreationDate"] = "D:20270302091647+00'00"


def only_save(file):
    assert file.pages


IN_PDF = [
    (attach_a_number, "seal: changed since they were written: checks.sharpness"),
    (attach_a_resealed_number, "where its results give"),
    (attach_another_audits, "pages: page 1, line"),
    (attach_another_policy, "attachments: policy.json is not the policy"),
    (attach_more, "pages: its attachments: notes.txt where"),
    (remove_the_policy, "attachments: policy.json is missing"),
    (rewrite_text, "pages: page 1, line 1: '"),
    (draw_over, "pages: page 2: its drawing"),
    (lay_a_note_over, "pages: page 1: something laid over it"),
    (drop_a_page, "pages, and its results give"),
    (rename, "its metadata: Title is 'PASS: another model'"),
    (redate, "its metadata: CreationDate is"),
    (only_save, "written by another program"),
]


@pytest.mark.parametrize(("change", "wanted"), IN_PDF, ids=lambda value: getattr(value, "__name__", ""))
def test_a_pdf_is_altered_and_the_place_is_named(tmp_path, change, wanted):
    report = write(tmp_path, a_sealed_audit())
    report.write_bytes(edited(report.read_bytes(), change))
    assert wanted in places(altered(report))


def test_bytes_added_at_the_end_of_a_pdf_are_counted(tmp_path):
    report = write(tmp_path, a_sealed_audit())
    report.write_bytes(report.read_bytes() + b"% 12 bytes..")
    assert "pages: 12 bytes were added at its end" in places(altered(report))


def test_results_beside_a_pdf_that_are_not_in_it_are_told_where_their_folder_is_verified(tmp_path):
    write(tmp_path, a_sealed_audit())
    text = a_sealed_audit().to_json().replace("31.2417", "30.2417")
    (tmp_path / "results.json").write_text(text, encoding="utf-8")
    wanted = "results.json: not the one that is attached to the PDF: checks.sharpness, gates"
    assert wanted in places(altered(tmp_path))


BESIDE = [
    ("report.html", "31.24", "30.24", "report.html: line "),
    (
        "report.html",
        "</body>",
        "<script>1</script></body>",
        "'<script>1</script></body>' where its results give '</body>'",
    ),
    ("report.html", "data:image/svg+xml;base64,PD", "data:image/svg+xml;base64,PF", "report.html: line "),
    ("summary.md", "UNDECIDED", "PASS", "summary.md: line 1: "),
]


@pytest.mark.parametrize(("name", "old", "new", "wanted"), BESIDE)
def test_a_page_beside_the_pdf_is_altered_and_its_line_is_named(tmp_path, name, old, new, wanted):
    audit = an_audit_with_everything() if "svg" in old else a_sealed_audit()
    results = sealed(audit)
    write(tmp_path, results)
    write_reports(results, tmp_path, pdf=False)
    assert altered(tmp_path) == []
    text = (tmp_path / name).read_text(encoding="utf-8")
    assert old in text
    (tmp_path / name).write_text(text.replace(old, new, 1), encoding="utf-8")
    assert wanted in places(altered(tmp_path))


def test_pictures_of_a_page_whose_renderer_nobody_knows_are_open_and_not_altered(tmp_path):
    results = sealed(an_audit_with_everything())
    (tmp_path / "results.json").write_text(results.to_json(), encoding="utf-8")
    write_reports(results, tmp_path, pdf=False)
    page = tmp_path / "report.html"
    page.write_text(
        page.read_text(encoding="utf-8").replace("svg+xml;base64,PD", "svg+xml;base64,PF"), encoding="utf-8"
    )
    found = {finding.step: finding for finding in verify(tmp_path, None, TODAY)}
    assert (found["report.html"].word, found["summary.md"].word) == ("open", "verified")


def test_one_bit_of_the_checkpoint_is_told_with_both_hashes(tmp_path):
    report = write(tmp_path, a_sealed_audit()).with_name("results.json")
    model = tmp_path / "model.safetensors"
    assert altered(report, model) == []
    model.write_bytes(CHECKPOINT[:-1] + b"u")
    assert "checkpoint: model.safetensors has the SHA-256" in places(altered(report, model))


# ------------------------------------------------------------------------------------------------------- untouched ones


@pytest.mark.parametrize("results", several_audits(), ids=lambda results: results.verdict.word)
def test_what_nobody_touched_is_verified_in_every_step(tmp_path, results):
    report = write(tmp_path, results)
    write_reports(results, tmp_path, pdf=False)
    for path in (report, tmp_path, tmp_path / "results.json"):
        found = list(verify(path, tmp_path / "model.safetensors", TODAY))
        assert {finding.word for finding in found} == {"verified"}, places(found)


def test_results_written_in_another_order_and_width_are_as_they_were(tmp_path):
    text = json.dumps(json.loads(a_sealed_audit().to_json()), sort_keys=True)
    (tmp_path / "results.json").write_text(text, encoding="utf-8")
    assert altered(tmp_path / "results.json") == []


def test_a_waiver_that_has_expired_since_is_told_and_fails_nothing(tmp_path):
    report = write(tmp_path, a_sealed_audit())
    found = {finding.step: finding for finding in verify(report, None, dt.date(2027, 1, 1))}
    assert found["verdict"].word == "verified"
    assert found["verdict"].says.endswith("since then the waiver of loss.value expired, on 2026-04-01")


def test_what_was_never_judged_or_sealed_is_open_and_not_altered(tmp_path):
    (tmp_path / "results.json").write_text(an_audit().to_json(), encoding="utf-8")
    found = {finding.step: finding.word for finding in verify(tmp_path, None, TODAY)}
    assert (found["seal"], found["verdict"]) == ("open", "open")
