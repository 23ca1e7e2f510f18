"""How widely attention looks: the entropy of its weights, relative to an even look at every key a query may see."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

MASKED = -9e3
"""A number at most this that is added to a score masks the key: common are −∞, the least of the dtype, −1e9, −1e4."""
CHUNK = 2**22
"""Weights that are recomputed at once: 16 MiB in float32, or one example's where that is more."""


@dataclass(frozen=True)
class Entropies:
    """Relative entropies summed over queries, and how many queries had more than one key; by head, (H,) both.

    One query's is −Σ p log p / log n over the n keys it may attend to: 0 on a single key, 1 on all alike.
    """

    sums: Tensor
    queries: Tensor

    def __add__(self, other: Entropies) -> Entropies:
        """Of both together."""
        return Entropies(self.sums + other.sums, self.queries + other.queries)


def of_weights(weights: Tensor, may: Tensor) -> Entropies:
    """Of weights of shape (B, H, L, S); `may`, (…, S), is true where a query may attend to a key."""
    keys = may.sum(-1)
    chosen = torch.special.entr(weights.to(_precise(weights))).sum(-1) / keys.clamp(min=2).log()
    relative = chosen.where(keys > 1, 0.0)
    return Entropies(relative.sum((0, 2), dtype=torch.float64), (keys > 1).expand_as(relative).sum((0, 2)).double())


def of_product(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,  # noqa: FBT001, FBT002 - the signature of the function it looks at
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Entropies:
    """Of a call of `scaled_dot_product_attention`, whose weights are computed again, some examples at a time."""
    del value, dropout_p
    if enable_gqa:
        key = key.repeat_interleave(query.shape[-3] // key.shape[-3], -3)
    lead = torch.broadcast_shapes(query.shape[:-2], key.shape[:-2])  # type: ignore[no-untyped-call]
    q, k = (_by_head(side.expand(*lead, *side.shape[-2:])) for side in (query, key))
    q = q.to(_precise(q)) * (query.shape[-1] ** -0.5 if scale is None else scale)
    pairs = (query.shape[-2], key.shape[-2])
    may = torch.ones(pairs, dtype=torch.bool, device=q.device)
    may = may.tril() if is_causal else may
    mask = None if attn_mask is None else _by_head(attn_mask.expand(*lead, *pairs))
    step = max(1, CHUNK // max(1, q.shape[1] * may.numel()))
    found = [
        _of_scores(q[part] @ k[part].mT.to(q), may, None if mask is None else mask[part])
        for part in (slice(first, first + step) for first in range(0, len(q), step))
    ]
    return sum(found[1:], found[0])


def of_module(*args: Any, **kwargs: Any) -> Entropies:
    """Of a call of `multi_head_attention_forward`, which is asked again, for its weights."""
    call = inspect.signature(functional.multi_head_attention_forward).bind(*args, **kwargs)
    call.arguments |= {"need_weights": True, "average_attn_weights": False, "training": False}
    weights = functional.multi_head_attention_forward(*call.args, **call.kwargs)[1]
    assert weights is not None  # noqa: S101 - they were asked for
    weights = weights.reshape(-1, *weights.shape[-3:])
    may = torch.ones(weights.shape[-1], dtype=torch.bool, device=weights.device)
    by_pair, by_key = call.arguments.get("attn_mask"), call.arguments.get("key_padding_mask")
    if by_pair is not None:
        heads = weights.shape[1] if by_pair.ndim == 3 else 1
        may = may & _widened(_unmasked(by_pair).reshape(-1, heads, *by_pair.shape[-2:]), weights)
    if by_key is not None:
        may = may & _widened(_unmasked(by_key).reshape(-1, 1, 1, by_key.shape[-1]), weights)
    return of_weights(weights, may)


def of_softmax(scores: Tensor, weights: Tensor) -> Entropies:
    """Of a softmax over scores of shape (…, H, L, S) that masks may have been added to; (B, L, S) is one head."""
    return of_weights(_by_head(weights), _by_head(scores > MASKED))


def _of_scores(scores: Tensor, may: Tensor, mask: Tensor | None) -> Entropies:
    if mask is not None and mask.dtype == torch.bool:
        may = may & mask
    elif mask is not None:
        scores, may = scores + mask, may & (mask > MASKED)
    return of_weights(scores.masked_fill(~may, -torch.inf).softmax(-1), may)


def _unmasked(mask: Tensor) -> Tensor:
    """Where a mask of nn.MultiheadAttention lets look: there, True means no."""
    return ~mask if mask.dtype == torch.bool else mask > MASKED


def _widened(may: Tensor, weights: Tensor) -> Tensor:
    """The keys that the module itself adds at the end (`add_bias_kv`, `add_zero_attn`) are open to all."""
    return functional.pad(may, (0, weights.shape[-1] - may.shape[-1]), value=True)


def _by_head(tensor: Tensor) -> Tensor:
    """(…, H, L, S) as (B, H, L, S); fewer than four dimensions have one head."""
    heads = tensor.shape[-3] if tensor.ndim > 3 else 1
    return tensor.reshape(-1, heads, *tensor.shape[-2:])


def _precise(tensor: Tensor) -> torch.dtype:
    return torch.promote_types(tensor.dtype, torch.float32)
