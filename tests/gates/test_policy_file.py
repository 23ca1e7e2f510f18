from __future__ import annotations

from pathlib import Path

import pytest

from landscape_audit.errors import AuditError
from landscape_audit.gates.policy_file import BUILT_IN, read_policy
from landscape_audit.policy import EffectivePolicy

HOUSE = """
on_undecided = "warn"
[gates."sharpness.lambda_max"]
at_most = 50
why = "house rule"
[gates."loss.value"]
finite = true
why = "house rule"
[[waivers]]
gate = "loss.value"
reason = "r"
approver = "A"
expires = 2026-12-31
checkpoint_sha256 = "%s"
""" % ("a" * 64)


def written(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.toml").write_text(text, encoding="utf-8")
    return folder


def test_what_a_policy_says_lies_over_what_it_extends(tmp_path: Path) -> None:
    gates = '[gates."sharpness.lambda_max"]\nlevel = "warn"\n[gates."trace.trace"]\nat_most = 9\nwhy = "w"'
    own = f'extends = "house.toml"\n{gates}'
    folder = written(tmp_path, house=HOUSE, own=own)
    found = read_policy(folder / "own.toml")
    gate = found.gates["sharpness.lambda_max"]
    assert (gate.at_most, gate.level, gate.why) == (50, "warn", "house rule")
    assert list(found.gates) == ["sharpness.lambda_max", "loss.value", "trace.trace"]
    assert (found.on_undecided, len(found.waivers), found.extends) == ("warn", 1, "")
    assert found.sources == (str(folder / "house.toml"), str(folder / "own.toml"))


def test_waivers_of_both_are_in_force(tmp_path: Path) -> None:
    folder = written(tmp_path, house=HOUSE, own='extends = "house.toml"\n' + HOUSE.partition("[[")[2].join(["[[", ""]))
    assert len(read_policy(folder / "own.toml").waivers) == 2


def test_a_path_is_seen_from_the_file_that_says_it(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    written(tmp_path, house=HOUSE)
    written(tmp_path / "deep", own='extends = "../house.toml"')
    assert "loss.value" in read_policy(tmp_path / "deep" / "own.toml").gates


def test_each_gate_knows_where_its_last_word_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path, house=HOUSE, own='extends = "house.toml"\n\n[ gates.\'sharpness.lambda_max\' ]\nlevel = "warn"\n')
    origins = read_policy(Path("own.toml")).origins
    assert {key: (origin.file, origin.line) for key, origin in origins.items()} == {
        "sharpness.lambda_max": ("own.toml", 3),
        "loss.value": ("house.toml", 6),
    }


def test_a_circle_is_one_message_that_shows_it(tmp_path: Path) -> None:
    written(tmp_path, a='extends = "b.toml"', b='extends = "a.toml"')
    with pytest.raises(AuditError, match=r"in a circle, or too deep: .*a\.toml extends .*b\.toml extends .*a\.toml"):
        read_policy(tmp_path / "a.toml")


def test_an_endless_chain_ends(tmp_path: Path) -> None:
    written(tmp_path, **{f"p{n}": f'extends = "p{n + 1}.toml"' for n in range(30)})
    with pytest.raises(AuditError, match="too deep"):
        read_policy(tmp_path / "p0.toml")


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_policies_are_known_by_name_and_may_be_extended(tmp_path: Path, name: str) -> None:
    alone = read_policy(Path(name))
    written(tmp_path, own=f'extends = "{name}"')
    extended = read_policy(tmp_path / "own.toml")
    assert (alone.gates, alone.on_undecided) == (extended.gates, extended.on_undecided)
    assert alone.sources[-1] == name
    assert extended.sources == (*alone.sources, str(tmp_path / "own.toml"))


def test_no_built_in_policy_has_an_absolute_limit_on_sharpness() -> None:
    for name in BUILT_IN:
        gates = read_policy(Path(name)).gates
        sharp = [gates[key] for key in gates if key.startswith(("sharpness.lambda", "trace", "flatness", "ggn"))]
        assert all(gate.floor is None and gate.ceiling is None for gate in sharp)
    assert read_policy(Path("observe")).gates == {}
    assert set(read_policy(Path("recommended")).gates) < set(read_policy(Path("strict")).gates)


def test_a_policy_that_is_in_force_reads_back_as_it_was(tmp_path: Path) -> None:
    written(tmp_path, house=HOUSE, own='extends = "house.toml"\n[[waivers]]\ngate = "loss.value"\nexpires = "soon"')
    found = read_policy(tmp_path / "own.toml")
    assert EffectivePolicy.model_validate_json(found.model_dump_json()) == found


def test_a_limit_on_the_change_may_have_its_own_reason_and_takes_the_place_of_another_whole(
    tmp_path: Path,
) -> None:
    below = '[gates."trace.trace"]\nwhy = "w"\nno_worse_than_baseline = { relative = 0.1, why = "half" }'
    own = 'extends = "below.toml"\n[gates."trace.trace"]\nno_worse_than_baseline = { absolute = 2.0 }'
    written(tmp_path, below=below, own=own)
    gates = [read_policy(tmp_path / f"{name}.toml").gates["trace.trace"] for name in ("below", "own")]
    assert [gate.why_no_worse for gate in gates] == ["half", "w"]
    assert (gates[1].no_worse_than_baseline.relative, gates[1].no_worse_than_baseline.absolute) == (None, 2.0)
