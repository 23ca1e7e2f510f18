"""What an audit says when one of its checks fails."""

from __future__ import annotations

from command_line import outcome

from landscape_audit.probes.gradients import BatchGradients


def test_a_quiet_run_says_why_a_check_failed_before_its_last_line_and_in_the_summary(folder, monkeypatch, capsys):
    def full(*_):
        raise OSError("disk\x1b[2J")

    monkeypatch.setattr(BatchGradients, "take", full)
    arguments = ("run", "model.safetensors", "--no-pdf", "--quiet", "--only", "gradient", "--only", "loss")
    code, _, err = outcome(arguments, monkeypatch, capsys)
    assert code == 5
    reason, last = err.splitlines()
    assert reason == (r"landscape-audit: the check gradient failed: batch_gradients: OSError: disk\x1b[2J")
    assert last.startswith("landscape-audit: ERROR  0 passed, 0 failed, 0 undecided, 1 crashed  (exit 5)")
    assert "The check gradient failed" in (folder / "audit-model/summary.md").read_text()
