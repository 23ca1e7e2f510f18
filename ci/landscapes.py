"""Every known landscape at many seeds, as a table; exits 1 where an audit is wrong. Run by ci/landscapes."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence

from known import Known, Verdict, verdict  # what the tests know
from known_landscapes import KNOWN

HEADS = ("landscape", "what is true of it", "classes found", "worst error of its numbers", "gradients")
LEGEND = (
    "Error: as a share of what is allowed, where 1 is the end of the interval that the report gives around the number, "
    "without its part for other samples, or the end of the range named beside it. **Bold** is wrong. Gradients: the "
    "checks that the row needs, on average."
)


def row(known: Known, found: Sequence[Verdict]) -> str:
    """One line of the table."""
    counts = Counter(each.named for each in found if each.named)
    classes = [_bold(f"{name} {n}", wrong=name not in known.classes) for name, n in counts.most_common()]
    worst = {name: max(each.errors[name] for each in found) for name in found[0].errors}
    numbers = [_bold(f"{name} {error:.2f}", wrong=error > 1) for name, error in worst.items()]
    words = sorted({each for verdict in found for each in verdict.wrong if " is " in each})
    gradients = sum(each.gradients for each in found) / len(found)
    last = ", ".join([*numbers, *(_bold(each, wrong=True) for each in words)])
    cells = (known.name, known.truth, ", ".join(classes) or "–", last or "–", f"{gradients:.0f}")
    return f"| {' | '.join(cells)} |"


def _bold(words: str, *, wrong: bool) -> str:
    return f"**{words}**" if wrong else words


def main() -> None:
    """Print the table, and on stderr what was wrong at which seed."""
    seeds = range(int((sys.argv[1:2] or ["20"])[0]))
    print(f"| {' | '.join(HEADS)} |\n| --- | --- | --- | --- | ---: |")
    wrong = 0
    for known in KNOWN:
        found = [verdict(known, seed) for seed in seeds]
        print(row(known, found), flush=True)
        for seed, each in zip(seeds, found, strict=True):
            wrong += bool(each.wrong)
            for words in each.wrong:
                print(f"{known.name}, seed {seed}: {words}", file=sys.stderr)
    print(f"\n{LEGEND}")
    sys.exit(min(wrong, 1))


if __name__ == "__main__":
    main()
