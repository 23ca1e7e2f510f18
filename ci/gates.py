"""Simulated gates at many distances from their limit, as a table; exits 1 where one is wrong too often. By ci/gates."""

from __future__ import annotations

import sys

from simulated_gates import DRAWS, ONE_LOOK, THREE_LOOKS, point_gate, simulated

DISTANCES = (-0.2, -0.1, -0.05, 0.05, 0.1, 0.2)
NOISES = (0.05, 0.1, 0.2)
HEADS = ("truth", "noise", "point gate", "one look", "up to three looks", "gradients bought")
ALLOWED = 0.025
"""Of wrong decisions: one side of what 95 % leaves."""
LEGEND = (
    "In each cell the shares of runs that pass / fail / are undecided, in percent; **bold** is wrong. Truth: how far "
    f"from the limit of an `at_most` gate. Noise: the standard error of the mean of the first look's {DRAWS} draws "
    "(normal, independent), over the true value. Point gate: that mean against the limit. The others: its 95 % Student "
    "interval, at one look, or at up to three with the error split over them and 100 draws more to spend, a gradient "
    "each, as by default."
)


def row(distance: float, noise: float, repeats: int) -> tuple[str, float]:
    """One line of the table, and how often the worse of the gates with intervals is wrong."""
    wrong = "fail" if distance < 0 else "pass"
    failing = point_gate(distance, noise, repeats)
    once, thrice = (simulated(distance, noise, policy, repeats) for policy in (ONE_LOOK, THREE_LOOKS))
    side = "under" if distance < 0 else "over"
    cells = (
        f"{100 * abs(distance):.0f} % {side}",
        f"{100 * noise:.0f} %",
        _cell({"pass": 1 - failing, "fail": failing, "undecided": 0.0}, wrong),
        *(_cell({each: found.of(each) for each in ("pass", "fail", "undecided")}, wrong) for found in (once, thrice)),
        f"{thrice.spent:.0f}",
    )
    return f"| {' | '.join(cells)} |", max(found.of(wrong) for found in (once, thrice))


def _cell(shares: dict[str, float], wrong: str) -> str:
    told = {status: f"{100 * share:.1f}" for status, share in shares.items()}
    return " / ".join(f"**{words}**" if status == wrong else words for status, words in told.items())


def main() -> None:
    """Print the table."""
    repeats = int((sys.argv[1:2] or ["20000"])[0])
    print(f"| {' | '.join(HEADS)} |\n| --- | --- | ---: | ---: | ---: | ---: |")
    worst = 0.0
    for distance in DISTANCES:
        for noise in NOISES:
            line, wrong = row(distance, noise, repeats)
            worst = max(worst, wrong)
            print(line, flush=True)
    print(f"\n{LEGEND}")
    sys.exit(int(worst > ALLOWED))


if __name__ == "__main__":
    main()
