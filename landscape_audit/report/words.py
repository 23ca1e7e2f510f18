"""The fixed sentences of a report: what words mean. Data, not code paths."""

from __future__ import annotations

# word: glyph, tone, meaning
WORDS = {
    "PASS": ("✓", "good", "Every gate that can fail the audit passed."),
    "FAIL": ("✗", "bad", "At least one gate failed with its whole interval."),
    "UNDECIDED": ("?", "open", "The evidence does not settle every gate. That is not a pass."),
    "ERROR": ("!", "bad", "The audit is not whole, or not of what lies there now."),
    "OBSERVED": ("●", "plain", "Measured; nothing was demanded."),
}

LET_BE = "The policy only warns of it: exit 0."
"""What an UNDECIDED means that fails nobody's merge."""

# status: glyph, tone, word
STATUS = {
    "pass": ("✓", "good", "passed"),
    "fail": ("✗", "bad", "failed"),
    "undecided": ("?", "open", "undecided"),
    "incomparable": ("?", "open", "incomparable"),
    "not_applicable": ("–", "plain", "not applicable"),
    "waived": ("~", "open", "waived"),
    "warned": ("!", "open", "warning"),
}

HINTS = {
    "loss.value": "of the audited sample, in evaluation mode",
    "loss.metric": "of the audited sample, in evaluation mode",
    "gradient.norm": "zero where the point is stationary",
    "sharpness.lambda_max": "the curvature in the sharpest direction",
    "sharpness.edge_of_stability": "below 1 is stable for full-batch gradient descent",
    "negative_curvature.lambda_min": "below zero, the loss curves down somewhere",
    "trace.trace": "the curvatures of all directions together",
    "flatness.tolerance": "random moves this large cost 10 % more loss",
    "flatness.worst_case": "found by ascent, so it is at least this bad",
}
"""What to read a headline number by."""

INTERVALS = (
    (
        "residual",
        "What the solver leaves open. At the ends of the spectrum: λ_max or λ_min of this sample lies inside, "
        "at the stated level for the random start. Between them: an eigenvalue lies inside, always.",
    ),
    ("sampling", "What other samples of the same size and distribution would give, at the stated level."),
    ("probe", "What other random directions would give, at the stated level."),
    ("rounding", "What the arithmetic leaves open: measured against float64 where the model runs in it."),
    ("bound", "One side only: nothing is known on the other."),
    ("exact", "Counted, or computed without estimation on this sample; rounding apart."),
)

GLOSSARY = (
    ("θ, P", "The trainable parameters as one vector, and how many numbers it has."),
    ("Gradient, g", "The slope of the loss in every parameter; zero at a stationary point."),
    ("Hessian, H", "The matrix of second derivatives: the curvature in every direction."),
    ("λ_max, λ_min", "The largest and the smallest eigenvalue of H, with their signs."),
    ("v_max, v_min, v", "Their eigenvectors: the directions of highest and lowest curvature; v is any of the kind."),
    ("vᵀHv", "The curvature along v, a vector of length one."),
    ("Trace", "The sum of all eigenvalues of H, and of the second derivatives in every single parameter."),
    ("Effective rank", "The trace over λ_max: how many directions as sharp as the sharpest would make up all of it."),
    ("GGN", "The Gauss-Newton part of H: what H would be if the network were linear in its parameters."),
    ("Ritz value", "An eigenvalue as a Krylov space sees it; inside the true spectrum."),
    (
        "Gradient noise scale",
        "The size of a batch whose gradient has as much noise as signal.",
    ),
    ("Filter-normalised", "A perturbation that moves every filter in proportion to its own norm."),
    ("σ", "The size of such a perturbation, as a share of the filters' norms."),
    ("ε, ρ", "A step away from θ, and the radius of the ball in which the worst one is sought."),
    ("Adaptive", "Of a ball: a step counts against each parameter's own size, so that rescaling layers matters less."),
    ("m-sharpness", "The rise by one step up for batches of m examples each on its own, on average."),
    ("Tolerance", "The σ at which the loss has risen by a tenth on average."),
    ("δ", "What counts as a change of the loss: 1 % of it, never less than rounding."),
    (
        "Look",
        "One judgement of an undecided gate, which may then buy a narrower interval and be judged again. The error is "
        "shared by all looks, so that a gate's interval is wider than that of the same number elsewhere.",
    ),
    ("Saddle", "A stationary point with a direction in which the loss falls, and it pays to take it."),
    ("One gradient", "The unit of cost: forward and backward once over the whole sample."),
    ("HVP", "A Hessian-vector product Hv: curvature in one direction without the matrix."),
)
