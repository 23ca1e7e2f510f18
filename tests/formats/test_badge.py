from __future__ import annotations

import json

import pytest
from verdicts import WHY, every_verdict, verdict_of

from landscape_audit.formats.badge import badge
from landscape_audit.policy import Gate


def shown(results):
    found = json.loads(badge(results))
    return found["message"], found["color"]


@pytest.mark.parametrize(
    ("gates", "expected"),
    [
        ({}, ("observed", "blue")),
        ({"sharpness.lambda_max": Gate(at_most=50.0, why=WHY)}, ("pass", "brightgreen")),
        ({"sharpness.lambda_max": Gate(at_most=20.0, why=WHY)}, ("fail: 1 gate", "red")),
        ({"sharpness.lambda_max": Gate(at_most=31.0, why=WHY)}, ("undecided: 1 gate", "red")),
        (
            {"sharpness.lambda_max": Gate(at_most=31.0, why=WHY, on_undecided="warn")},
            ("undecided: 1 gate", "yellow"),
        ),
    ],
)
def test_a_badge_says_the_word_and_how_many_gates_are_behind_it(gates, expected):
    assert shown(verdict_of(gates)) == expected


def test_every_badge_is_what_shields_takes():
    for results in every_verdict():
        found = json.loads(badge(results))
        assert (found["schemaVersion"], found["label"]) == (1, "loss landscape")
        assert 0 < len(found["message"]) < 30
