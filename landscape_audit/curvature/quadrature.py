"""Densities of eigenvalues from the quadrature that a Lanczos run is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from landscape_audit.curvature.lanczos import Floats, KrylovSpace


@dataclass(frozen=True)
class Density:
    """A density of eigenvalues: single ones of weight 1/P each, and a smooth bulk that holds the rest."""

    grid: Floats
    """Points on the eigenvalue axis, ascending."""
    values: Floats
    """The share of eigenvalues per unit of asinh(λ / linear) at each grid point, singles included."""
    singles: Floats
    """The eigenvalues that the run has resolved, outside the bulk."""
    linear: float
    """Where the axis turns from linear to logarithmic."""


def density(space: KrylovSpace, singles: Floats, points: int = 241) -> Density:
    """The spectral density as seen by one random start: Σ w_i δ(λ − θ_i), w_i the squared first entries of T's vectors.

    Stochastic Lanczos quadrature with one vector. Resolved outliers are eigenvalues of multiplicity one and take the
    weight 1/P they truly have; the bulk shares what is left. Smoothed with a Gaussian on the symmetric log axis that
    it is drawn on, as wide as the axis needs to stay readable, which says nothing about the matrix.

    Error: the bulk's weights are one sample; their relative error is of order sqrt(2/P) for each smooth functional.
    Source: Ubaru, Chen & Saad 2017; for networks Ghorbani, Krishnan & Xiao 2019.
    """
    nodes = space.ritz_values
    weights = space.eigen[1][0] ** 2
    size = space.basis.size
    resolved = np.isin(nodes, singles)
    bulk_share = max(0.0, 1.0 - resolved.sum() / size)
    weights = np.where(resolved, 1.0 / size, weights)
    bulk = weights[~resolved].sum()
    if bulk > 0:
        weights[~resolved] *= bulk_share / bulk
    largest = float(np.abs(nodes).max()) or 1.0
    linear = 1e-3 * largest
    places = np.arcsinh(nodes / linear)
    reach = float(np.arcsinh(largest / linear))
    width = 0.02 * reach
    low, high = min(places[0], -0.1 * reach) - 4 * width, max(places[-1], 0.1 * reach) + 4 * width
    axis = np.linspace(low, high, points)
    kernel = np.exp(-0.5 * ((axis[:, None] - places) / width) ** 2) / (width * np.sqrt(2 * np.pi))
    return Density(np.sinh(axis) * linear, kernel @ weights, np.sort(nodes[resolved]), linear)


def mass_below(space: KrylovSpace, point: float) -> tuple[float, float]:
    """Between what the share of the start's spectral measure below `point` certainly lies, up to rounding.

    The measure has mass ⟨x, v_1⟩² at every eigenvalue whose unit eigenvector is x. Of all measures that give the same
    T, none has less below the point than the nodes to its left of the quadrature that has a node at the point itself
    (Gauss-Radau: one more row in T, its α chosen so), and none has more than those with that node.

    Source: the theorem of Chebyshev, Markov and Stieltjes, for Krylov spaces in Jawecki 2022.
    """
    if 0.0 in space.beta:  # the quadrature is the measure
        exact = float((space.eigen[1][0] ** 2)[space.ritz_values < point].sum())
        return exact, exact
    tridiagonal = np.diag(space.alpha) + np.diag(space.beta[:-1], 1) + np.diag(space.beta[:-1], -1)
    last = np.zeros(space.steps)
    last[-1] = space.beta[-1]
    behind = np.linalg.solve(tridiagonal - point * np.eye(space.steps), last)
    row = np.append(last, point + last @ behind)
    values, vectors = np.linalg.eigh(np.block([[tridiagonal, last[:, None]], [row[None]]]))
    weights, node = vectors[0] ** 2, int(np.argmin(np.abs(values - point)))
    below = float(weights[:node].sum())
    return below, below + float(weights[node])
