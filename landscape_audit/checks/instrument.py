"""Is the instrument to be trusted here?"""

from __future__ import annotations

from landscape_audit.checks.check import check
from landscape_audit.detail import Column, Table
from landscape_audit.estimate import Estimate, Label
from landscape_audit.ids import AGREEMENTS
from landscape_audit.probes.instrument import InstrumentSample, InstrumentTrial
from landscape_audit.results import Measured
from landscape_audit.text import count


@check(
    "instrument",
    InstrumentTrial(),
    version=1,
    title="Instrument",
    question="Can the numbers below be trusted on this model, this device and this arithmetic?",
    source="Pearlmutter 1994 (products); the agreements are this project's own",
)
def instrument(trial: InstrumentSample) -> Measured:
    """Before anything is measured, what is known must come out.

    Two evaluations of loss, gradient and Hessian-vector product agree; the product is symmetric; it agrees with a
    central difference of gradients, and with itself in float64; a quadratic with a known spectrum, through the same
    code on the same device, gives that spectrum. Differences are relative. A disagreement is shown above everything
    else, and no verdict passes on it.
    """
    failed = [AGREEMENTS[agreement.name] for agreement in trial.agreements if not agreement.agrees]
    finding = (
        f"{count(len(failed), 'agreement')} of {len(trial.agreements)} failed: {', '.join(failed)}."
        if failed
        else f"All {len(trial.agreements)} agreements hold."
    )
    rows = tuple((AGREEMENTS[a.name], a.meaning, a.difference, a.tolerance, a.agrees) for a in trial.agreements)
    return Measured(
        estimates={
            **{a.name: Estimate.exact(a.difference, unit="relative", direction="lower") for a in trial.agreements},
            "loss_noise": Estimate.exact(trial.loss_noise, unit="loss", direction="lower"),
        },
        labels={"agreement": Label(value="disagrees" if failed else "agrees", reason=finding)},
        details=(
            Table(
                name="agreements",
                title="Agreements",
                finding=finding,
                expected="every difference below its tolerance",
                columns=(
                    Column(name="name", title="Agreement"),
                    Column(name="meaning", title="Between"),
                    Column(name="difference", title="Difference", unit="relative"),
                    Column(name="tolerance", title="Tolerance", unit="relative"),
                    Column(name="agrees", title="Agrees"),
                ),
                rows=rows,
            ),
        ),
    )
