"""What a gate says of a number that is known to be inside or outside its limit, over many audits."""

from __future__ import annotations

from pathlib import Path

import pytest
from simulated_gates import ONE_LOOK, THREE_LOOKS, point_gate, simulated

MEASURED = Path(__file__).parents[2] / "ci/MEASURED.md"


@pytest.mark.parametrize(("distance", "wrong"), [(-0.05, "fail"), (0.05, "pass")])
def test_a_gate_is_wrong_in_under_2_percent_of_audits_5_percent_from_its_limit_at_20_percent_noise(distance, wrong):
    found = simulated(distance, 0.2, THREE_LOOKS, 2000)
    assert found.of(wrong) <= 0.02
    assert 0.35 < (point_gate if wrong == "fail" else _passes)(distance, 0.2, 20_000) < 0.45


def _passes(*asked):
    return 1 - point_gate(*asked)


def test_what_is_bought_settles_gates_that_one_look_leaves_open():
    once, thrice = (simulated(-0.2, 0.1, policy, 300) for policy in (ONE_LOOK, THREE_LOOKS))
    assert once.of("undecided") > 2 * thrice.of("undecided")
    assert once.spent == 0
    assert 0 < thrice.spent <= 100


def test_the_table_in_the_readme_has_the_headline():
    table = MEASURED.read_text(encoding="utf-8").partition("<!-- gates -->")[2].partition("<!-- /gates -->")[0]
    cells = next(line for line in table.splitlines() if line.startswith("| 5 % under | 20 %")).split("|")
    point, three_looks = (float(cells[column].replace("*", "").split("/")[-2]) for column in (3, 5))
    assert 35 < point < 45
    assert three_looks < 2
