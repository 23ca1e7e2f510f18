"""The one list of formats, and what the README says of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from verdicts import a_hostile_verdict, verdict_of

from landscape_audit.cli.outputs import OUTPUTS, clear, refuse_strangers
from landscape_audit.errors import OutputError
from landscape_audit.formats import FILES, FORMATS

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def test_the_readme_names_every_format_and_what_it_writes():
    rows = dict(re.findall(r"^\| `([\w-]+)` \| (.+?) \|", README, re.MULTILINE))
    for name, each in FORMATS.items():
        assert each.file is None or f"`{each.file}`" in rows[name]
        assert name in rows


def test_no_two_formats_write_one_file_and_a_new_audit_clears_them_all():
    assert len(set(OUTPUTS)) == len(OUTPUTS)
    assert set(FILES) < set(OUTPUTS)


@pytest.mark.parametrize("results", [verdict_of({}), verdict_of({}, "crashed"), a_hostile_verdict("w" * 3000)])
def test_every_file_is_known_for_an_audits(results, tmp_path):
    for each in FORMATS.values():
        if each.file:
            (tmp_path / each.file).write_text(each.text(results))
    refuse_strangers(tmp_path, FILES)


@pytest.mark.parametrize("file", FILES)
def test_what_another_program_says_of_us_is_no_file_of_an_audit(file, tmp_path):
    (tmp_path / file).write_text('{"dependencies": ["landscape-audit", "landscape_audit"]}')
    with pytest.raises(OutputError, match="no audit wrote it"):
        refuse_strangers(tmp_path, [file])
    clear(tmp_path)
    assert (tmp_path / file).exists()
