"""CPU time, with what is compared interleaved, so that a busy machine is busy for all alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping


def cpu(call: Callable[[], object]) -> float:
    """CPU seconds of one call, in all threads of this process."""
    begun = time.process_time()
    call()
    return time.process_time() - begun


def medians(calls: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median CPU seconds of each call over that many rounds, after one round that is not counted."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    for _ in range(rounds):
        for name, call in calls.items():
            times[name].append(cpu(call))
    return {name: statistics.median(found) for name, found in times.items()}
