"""Units and heads whose state is known by construction."""

from __future__ import annotations

import contextlib
import math
from dataclasses import replace

import pytest
import torch
from subjects import bench, cross_entropy, measured, output, subject
from torch import nn
from torch.nn import functional
from torch.nn.attention.bias import causal_lower_right

from landscape_audit.checks.activation_layers import MOST_ROWS
from landscape_audit.checks.activations import activations
from landscape_audit.errors import ModelError
from landscape_audit.probes import attention as attention_probe
from landscape_audit.probes.activations import WatchedForward, merged
from landscape_audit.probes.evaluation import by_batch, passes
from landscape_audit.probes.probe import ProbeFailedError
from landscape_audit.probes.ranks import Ranks
from landscape_audit.probes.watch import Watch, observe, watching
from landscape_audit.results import Cost, NotApplicable

DEAD = -1e6


class Calls(nn.Module):
    """A function of one trainable layer's output, its answer averaged to one loss an example."""

    def __init__(self, function, layer):
        super().__init__()
        self.layer, self.function = layer, function

    def forward(self, x):
        return self.function(self.layer(x)).flatten(1).mean(1)


def audited(function, layer, inputs, sizes=None, dtype=torch.float32):
    return subject(Calls(function, layer), output, inputs, inputs[:, 0], sizes=sizes, dtype=dtype)


def biased(layer, bias):
    """The layer with small weights, so that its bias decides."""
    with torch.no_grad():
        layer.weight.mul_(0.1)
        layer.bias.copy_(torch.tensor(bias))
    return layer


def points(*shape, n=40):
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(0))


def table(found, name):
    detail = next(detail for detail in found.details if detail.name == name)
    names = [column.name for column in detail.columns]
    return [dict(zip(names, row, strict=True)) for row in detail.rows]


def values(found):
    return {name: estimate.value for name, estimate in found.estimates.items()}


RELUS = {
    "module": nn.ReLU(),
    "in place": nn.ReLU(inplace=True),
    "torch": torch.relu,
    "functional": functional.relu,
    "method": lambda x: x.relu(),
    "in place method": lambda x: x.relu_(),
    "relu6": nn.ReLU6(),
    "functional relu6": functional.relu6,
    "hardtanh": nn.Hardtanh(0, 3),
    "threshold": nn.Threshold(0.0, 0.0),
    "hardswish": functional.hardswish,
    "gelu": nn.GELU(),
    "tanh gelu": lambda x: functional.gelu(x, approximate="tanh"),
    "silu": nn.SiLU(),
    "silu in place": nn.SiLU(inplace=True),
}


@pytest.mark.parametrize("relu", RELUS.values(), ids=RELUS)
def test_units_with_a_hopeless_bias_are_dead_in_every_form_of_a_relu(relu):
    layer = biased(nn.Linear(3, 5), [1.0, DEAD, 1.0, DEAD, 1.0])
    found = measured(bench(audited(relu, layer, points(3))), activations)
    assert values(found) == {"dead_relu": 0.4, "dead_layers": 0.0}
    assert found.estimates["dead_relu"].n == 5
    assert found.labels["reason"].value == "none"


SQUASHED = {
    "module": nn.Tanh(),
    "torch": torch.tanh,
    "method": lambda x: x.tanh(),
    "in place": lambda x: x.tanh_(),
    "functional": functional.tanh,
    "sigmoid": torch.sigmoid,
    "functional sigmoid": functional.sigmoid,
    "sigmoid module": nn.Sigmoid(),
    "expit": torch.special.expit,
    "hardsigmoid": nn.Hardsigmoid(),
    "hardtanh": nn.Hardtanh(),
}


@pytest.mark.parametrize("squash", SQUASHED.values(), ids=SQUASHED)
def test_units_far_out_on_either_side_are_saturated_in_every_form_of_a_sigmoid(squash):
    layer = biased(nn.Linear(3, 4), [0.0, 50.0, -50.0, 40.0])
    found = measured(bench(audited(squash, layer, 0.1 * points(3))), activations)
    assert values(found) == {"saturated": 0.75, "saturated_units": 0.75}
    assert found.labels["reason"].value == "saturated units"
    assert "3 of 4 units are saturated" in found.labels["reason"].reason


def test_a_unit_that_one_example_saturates_is_counted_by_its_values_and_not_as_a_unit():
    layer = nn.Linear(1, 1)
    with torch.no_grad():
        layer.weight.fill_(1.0)
        layer.bias.zero_()
    inputs = torch.zeros(8, 1)
    inputs[5] = 9.0
    found = measured(bench(audited(torch.tanh, layer, inputs)), activations)
    assert values(found) == {"saturated": 1 / 8, "saturated_units": 0.0}


def test_one_example_in_one_batch_brings_a_unit_to_life():
    layer = nn.Linear(1, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0], [-1.0]]))
        layer.bias.copy_(torch.tensor([-1.0, -1.0]))
    inputs = torch.zeros(20, 1)
    assert values(measured(bench(audited(torch.relu, layer, inputs)), activations))["dead_layers"] == 1
    inputs[17] = 2.0
    found = measured(bench(audited(torch.relu, layer, inputs)), activations)
    assert values(found) == {"dead_relu": 0.5, "dead_layers": 0.0}
    assert found.labels["reason"].value == "dead units"
    assert table(found, "relu")[0]["values"] == 39 / 40


CONVOLUTIONS = {
    "1d": (nn.Conv1d(2, 4, 3), (2, 9)),
    "2d": (nn.Conv2d(2, 4, 3), (2, 9, 6)),
    "3d": (nn.Conv3d(2, 4, 1), (2, 3, 4, 5)),
    "transposed": (nn.ConvTranspose1d(2, 4, 3), (2, 9)),
}
BETWEEN = {
    "nothing": nn.Identity(),
    "arithmetic": lambda x: 2 * x + 1,
    "pooling": lambda x: functional.max_pool1d(x, 2),
    "normalisation": lambda x: functional.group_norm(x, 2) + x,
    "in two halves": lambda x: torch.cat(x.chunk(2, 1), 1),
}


@pytest.mark.parametrize(("layer", "shape"), CONVOLUTIONS.values(), ids=CONVOLUTIONS)
def test_the_units_of_a_convolution_are_its_channels(layer, shape):
    found = measured(bench(audited(torch.relu, biased(layer, [9.0, DEAD, 9.0, 9.0]), points(*shape))), activations)
    assert found.estimates["dead_relu"].n == 4
    assert found.estimates["dead_relu"].value == 0.25


@pytest.mark.parametrize("between", BETWEEN.values(), ids=BETWEEN)
def test_channels_of_sequences_are_followed_through_what_leaves_them_where_they_are(between):
    layer = biased(nn.Conv1d(2, 4, 3), [9.0, DEAD, 9.0, 9.0])
    found = measured(bench(audited(lambda x: torch.relu(between(x)), layer, points(2, 9))), activations)
    assert (found.estimates["dead_relu"].n, found.estimates["dead_relu"].value) == (4, 0.25)


def test_units_of_tokens_and_of_channels_last_maps_are_features():
    for shape in ((7, 3), (5, 6, 3)):
        layer = biased(nn.Linear(3, 4), [9.0, DEAD, 9.0, 9.0])
        found = measured(bench(audited(lambda x: torch.relu(2 * x), layer, points(*shape))), activations)
        assert (found.estimates["dead_relu"].n, found.estimates["dead_relu"].value) == (4, 0.25)


def test_maps_made_of_a_vector_have_their_channels_second():
    layer = biased(nn.Linear(3, 24), [9.0] * 6 + [DEAD] * 6 + [9.0] * 12)
    found = measured(bench(audited(lambda x: torch.relu(x.view(-1, 4, 2, 3)), layer, points(3))), activations)
    assert (found.estimates["dead_relu"].n, found.estimates["dead_relu"].value) == (4, 0.25)


def test_a_vector_of_one_number_an_example_is_one_unit_whatever_the_batches():
    layer = biased(nn.Linear(3, 1), [50.0])
    on = bench(audited(lambda x: torch.sigmoid(x.squeeze(1))[:, None], layer, points(3), sizes=[30, 7, 3]))
    found = measured(on, activations)
    assert (found.estimates["saturated_units"].n, found.estimates["saturated"].n) == (1, 40)


# ---------------------------------------------------------------------------------------------------------- attention


class Attends(nn.Module):
    """Attention with scores that are known: the parameter only scales the answer."""

    def __init__(self, attend):
        super().__init__()
        self.attend, self.scale = attend, nn.Parameter(torch.ones(1))

    def forward(self, x):
        return self.attend(self.scale * x).flatten(1).mean(1)


def attention(attend, inputs, sizes=None):
    model = subject(Attends(attend), output, inputs, inputs.flatten(1)[:, 0], sizes=sizes)
    return measured(bench(model), activations)


def zero(x):
    return torch.zeros_like(x)


def one_hot(x):
    """Queries and keys of shape (B, H, L, L) whose scores are 10⁴ on the diagonal and 0 elsewhere."""
    return 100 * torch.eye(x.shape[-1]).expand_as(x)


SDPA = functional.scaled_dot_product_attention
ROWS = torch.arange(6)
EVEN = {
    "plain": lambda x: SDPA(zero(x), zero(x), x),
    "causal": lambda x: SDPA(zero(x), zero(x), x, is_causal=True),
    "masked": lambda x: SDPA(zero(x), zero(x), x, attn_mask=ROWS[:, None] >= ROWS),
    "added": lambda x: SDPA(zero(x), zero(x), x, attn_mask=torch.full((6, 6), -1e9).triu(1)),
    "keys": lambda x: SDPA(zero(x), zero(x), x, attn_mask=(ROWS < 4).expand(len(x), 1, 1, 6)),
    "groups": lambda x: SDPA(zero(x), zero(x)[:, :1], x[:, :1], enable_gqa=True),
    "by hand": lambda x: (zero(x)).softmax(-1) @ x,
    "by hand, masked": lambda x: functional.softmax(zero(x) + torch.full((6, 6), -torch.inf).triu(1), dim=-1) @ x,
    "by hand, minus ten thousand": lambda x: torch.softmax(zero(x) + torch.full((6, 6), -1e4).triu(1), -1) @ x,
}


@pytest.mark.parametrize("attend", EVEN.values(), ids=EVEN)
def test_equal_scores_have_the_entropy_of_the_keys_that_a_query_may_see(attend):
    found = attention(attend, points(2, 6, 6))
    assert found.estimates["attention_entropy"].value == pytest.approx(1, abs=1e-6)
    assert values(found)["uniform_heads"] == 1
    assert values(found)["collapsed_heads"] == 0
    assert found.estimates["uniform_heads"].n == 2


def test_a_look_at_one_key_has_no_entropy_and_the_head_is_collapsed():
    for attend in (lambda x: SDPA(one_hot(x), one_hot(x), x), lambda x: (one_hot(x) * 100).softmax(-1) @ x):
        found = attention(attend, points(3, 6, 6))
        assert values(found) == {"collapsed_heads": 1.0, "uniform_heads": 0.0, "attention_entropy": 0.0}
        assert found.labels["reason"].value == "collapsed attention"


def test_heads_are_told_apart_and_the_scale_is_the_one_given():
    def attend(x):
        q = torch.stack([torch.zeros(6, 6), 100 * torch.eye(6), torch.eye(6)])
        return SDPA(q.expand(len(x), 3, 6, 6), q.expand(len(x), 3, 6, 6), x, scale=2.0)

    p = torch.softmax(torch.tensor([2.0, 0, 0, 0, 0, 0], dtype=torch.float64), 0)
    exact = float(torch.special.entr(p).sum() / math.log(6))
    found = attention(attend, points(3, 6, 6))
    heads = {row["head"]: row["entropy"] for row in table(found, "heads")}
    assert heads == pytest.approx({0: 1.0, 1: 0.0, 2: exact}, abs=1e-6)
    assert values(found)["attention_entropy"] == pytest.approx((1 + exact) / 3, abs=1e-6)


def test_a_causal_query_sees_what_came_before_and_the_first_has_no_choice():
    x = points(2, 6, 6)
    causal = attention_probe.of_product(x, x, x, is_causal=True)
    assert causal.queries.tolist() == [5 * len(x)] * 2
    exact = 0.0
    for query in range(1, 6):
        scores = (x[:, :, query, None] * x[:, :, : query + 1]).sum(-1).double() / math.sqrt(6)
        exact = exact + torch.special.entr(scores.softmax(-1)).sum((0, 2)) / math.log(query + 1)
    assert torch.allclose(causal.sums, exact, rtol=1e-5)


def test_a_query_with_one_key_has_no_say():
    only_first = torch.zeros(6, 6, dtype=torch.bool)
    only_first[:, 0] = True
    only_first[3, :2] = True  # the one query with a choice
    found = attention(lambda x: SDPA(zero(x), zero(x), x, attn_mask=only_first), points(1, 6, 6))
    assert values(found)["attention_entropy"] == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("need_weights", [False, True])
@pytest.mark.parametrize("masked", ["none", "causal", "padding", "both", "added keys"])
def test_the_module_form_agrees_with_entropies_of_the_weights_it_returns(need_weights, masked):
    torch.manual_seed(0)
    layer = nn.MultiheadAttention(8, 2, batch_first=True, add_bias_kv=masked == "added keys").eval()
    with torch.no_grad():
        layer.in_proj_weight.mul_(4)
    causal = torch.ones(5, 5, dtype=torch.bool).triu(1) if masked in {"causal", "both"} else None
    padding = (torch.arange(5) > 3).expand(12, 5) if masked in {"padding", "both"} else None

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = layer

        def forward(self, x):
            pad = None if padding is None else padding[: len(x)]
            return layer(x, x, x, attn_mask=causal, key_padding_mask=pad, need_weights=need_weights)[0].mean((1, 2))

    x = points(5, 8, n=12)
    found = measured(bench(subject(Model(), output, x, x[:, 0, 0], sizes=[12])), activations)
    with torch.no_grad():
        weights = layer(x, x, x, attn_mask=causal, key_padding_mask=padding, average_attn_weights=False)[1].double()
    keys = (weights > 0).sum(-1)
    relative = torch.special.entr(weights).sum(-1) / keys.double().log()
    exact = torch.stack([relative[:, head][keys[:, head] > 1].mean() for head in range(2)])
    heads = {row["head"]: row["entropy"] for row in table(found, "heads")}
    assert [heads[0], heads[1]] == pytest.approx(exact.tolist(), abs=1e-6)
    assert {row["layer"] for row in table(found, "heads")} == {"layer"}


def test_a_softmax_over_classes_is_no_attention():
    layer = nn.Linear(3, 4)
    model = audited(lambda x: x.softmax(-1), layer, points(3))
    assert isinstance(activations.measure(bench(model).take(WatchedForward())), NotApplicable)


# ---------------------------------------------------------------------------------------------- sites, batches, state


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.act = nn.Linear(4, 4), nn.Linear(4, 6), nn.ReLU()

    def forward(self, x):
        return self.act(self.second(torch.relu(self.act(self.first(x)))))


class Everything(nn.Module):
    """Two blocks, one activation module that each uses twice, plain functions, attention and a convolution."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([Block(), Block()])
        self.even, self.conv = nn.Linear(12, 4), nn.Conv1d(4, 3, 3, padding=1)
        self.encoder = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True, activation="gelu")

    def forward(self, x):
        x = self.even(torch.cat([block(x) for block in self.blocks], -1))
        x = self.encoder(x + SDPA(x, x, x, is_causal=True))
        return torch.tanh(self.conv(x.transpose(1, 2))).mean(2)


def everything(sizes=None):
    torch.manual_seed(0)
    x = points(5, 4)
    return subject(Everything(), cross_entropy, x, torch.arange(len(x)) % 3, sizes=sizes)


def test_a_site_is_the_module_the_function_and_which_call():
    rows = table(measured(bench(everything()), activations), "relu")
    found = {(row["layer"], row["function"], row["call"], row["units"]) for row in rows}
    blocks = {
        (f"blocks.{index}{place}", "relu", call, units)
        for index in (0, 1)
        for place, call, units in ((".act", 1, 4), ("", 1, 4), (".act", 2, 6))
    }
    assert found == blocks | {("encoder", "gelu", 1, 8)}


def test_ragged_batches_give_the_counts_of_one_batch():
    whole, ragged = (bench(everything(sizes)).take(WatchedForward()) for sizes in ([40], [21, 12, 5, 1, 1]))
    assert list(whole.tallies) == list(ragged.tallies)
    for site, tally in whole.tallies.items():
        assert ragged.tallies[site].counts.tolist() == tally.counts.tolist(), site
        assert ragged.tallies[site].sums == pytest.approx(tally.sums, rel=1e-5), site


def test_processes_that_share_the_batches_add_up_to_one():
    model = everything([10] * 4)
    whole = bench(model).take(WatchedForward())
    shares = [Ranks(rank, 3).share(4) for rank in range(3)]
    parts = merged(observe(model, passes(model.sample.batches, share, 10)) for share in shares)
    assert list(whole.tallies) == list(parts.tallies)
    for site, tally in whole.tallies.items():
        assert parts.tallies[site].counts.tolist() == tally.counts.tolist(), site
        assert parts.tallies[site].sums == pytest.approx(tally.sums, rel=1e-5), site


def hooks(model):
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())


def test_watching_costs_one_forward_and_leaves_the_model_as_it_was():
    model = everything()
    on, before = bench(model), model.state()
    on.take(WatchedForward())
    assert on.ledgers["watched_forward"].cost == WatchedForward().cost(on.size) == Cost(forwards=1)
    assert model.state() == before
    assert hooks(model.model) == 0


def test_watching_changes_no_output():
    model = everything()
    views = model.layout.views(model.theta)
    with torch.no_grad():
        plain = model.outputs(views, model.sample.batches[0])
        with watching(model.model) as watch, watch:
            watched = model.outputs(views, model.sample.batches[0])
    assert torch.allclose(plain, watched, rtol=1e-5, atol=1e-6)  # a fused encoder kernel adds up in another order


def test_a_forward_that_raises_leaves_the_model_as_it_was():
    def fails(x):
        if len(x) < 3:
            raise ValueError("too few")
        return torch.relu(x)

    model = audited(fails, nn.Sequential(nn.Linear(3, 2), nn.Tanh()), points(3), sizes=[20, 18, 2])
    before, modes = model.state(), torch.overrides._get_current_function_mode()
    with pytest.raises(ModelError, match="too few"):
        observe(model, by_batch(model.sample.batches, range(3), 20))
    assert model.state() == before
    assert hooks(model.model) == 0
    assert torch.overrides._get_current_function_mode() is modes


class Recovering(nn.Module):
    """Tries a module that raises, and goes on without it."""

    def __init__(self):
        super().__init__()
        self.layer, self.refuses = nn.Linear(3, 2), nn.Bilinear(3, 3, 2)

    def forward(self, x):
        with contextlib.suppress(TypeError):
            self.refuses(x)
        return torch.relu(self.layer(x)).mean(1)


def test_a_module_that_raised_and_was_forgiven_is_no_longer_running():
    x = points(3)
    found = bench(subject(Recovering(), output, x, x[:, 0])).take(WatchedForward())
    assert [site.module for site in found.tallies] == [""]


def test_a_model_without_a_known_non_linearity_is_not_applicable_and_says_why():
    model = audited(lambda x: x * x, nn.Linear(3, 2), points(3))
    found = activations.measure(bench(model).take(WatchedForward()))
    assert isinstance(found, NotApplicable)
    assert "no ReLU" in found.reason


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.cells, self.head = nn.LSTM(3, 4, batch_first=True), nn.Linear(4, 1)

    def forward(self, x):
        return torch.relu(self.head(self.cells(x)[0])).mean((1, 2))


def test_gates_inside_a_fused_recurrent_layer_are_said_to_be_unseen():
    x = points(5, 3)
    found = measured(bench(subject(Recurrent(), output, x, x[:, 0, 0])), activations)
    assert found.estimates["dead_relu"].n == 1
    assert any("cells" in caveat for caveat in found.caveats)


UNSEEN = {
    "vmap": torch.func.vmap(lambda row: torch.relu(row)),  # noqa: PLW0108 - a builtin cannot be vmapped
    "a gradient": torch.func.vmap(torch.func.grad(lambda row: torch.tanh(row).sum())),
    "a mask that is a rule": lambda x: SDPA(x[:, None], x[:, None], x[:, None], attn_mask=causal_lower_right(1, 1)),
}


@pytest.mark.parametrize("function", UNSEEN.values(), ids=UNSEEN)
def test_what_cannot_be_counted_is_named_and_breaks_nothing(function):
    on = bench(audited(function, nn.Sequential(nn.Linear(3, 4)), points(3)))
    found = activations.measure(on.take(WatchedForward()))
    assert isinstance(found, NotApplicable)
    assert "the model itself" in found.reason


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is")
def test_a_scripted_module_is_named_as_unseen():
    model = audited(torch.tanh, nn.Sequential(nn.Linear(3, 4), torch.jit.script(nn.ReLU())), points(3))
    found = measured(bench(model), activations)
    assert "saturated" in found.estimates
    assert "dead_relu" not in found.estimates
    assert any("layer.1" in caveat for caveat in found.caveats)


def test_weights_computed_again_in_pieces_give_the_same_entropies(monkeypatch):
    x = points(2, 6, 6)
    whole, pieces = [], []
    for kept, chunk in ((whole, attention_probe.CHUNK), (pieces, 1)):
        monkeypatch.setattr(attention_probe, "CHUNK", chunk)
        for arguments in ({}, {"is_causal": True}, {"attn_mask": points(2, 6, 6)}):
            kept.append(attention_probe.of_product(3 * x, x, x, **arguments))
    for one, other in zip(whole, pieces, strict=True):
        assert torch.allclose(one.sums, other.sums)
        assert torch.equal(one.queries, other.queries)


def test_computing_activations_again_changes_no_site():
    plain = everything()
    again = bench(replace(plain, recompute=True)).take(WatchedForward())
    whole = bench(plain).take(WatchedForward())
    assert list(again.tallies) == list(whole.tallies)
    for site, tally in whole.tallies.items():
        assert again.tallies[site].sums == pytest.approx(tally.sums), site


def test_a_table_names_the_worst_layers_and_sums_the_rest():
    deep = nn.Sequential(*(module for _ in range(MOST_ROWS + 5) for module in (nn.Linear(3, 3), nn.ReLU())))
    biased(deep[2 * MOST_ROWS], [DEAD] * 3)
    rows = table(measured(bench(audited(nn.Identity(), deep, points(3))), activations), "relu")
    assert len(rows) == MOST_ROWS + 1
    assert rows[-1]["layer"] == "5 other layers"
    assert rows[0]["dead"] == 3
    assert sum(row["units"] for row in rows) == 3 * (MOST_ROWS + 5)


class Gated(nn.Module):
    """A layer's output scaled by functions of single numbers: a parameter, and a product of two vectors."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.alpha = nn.Parameter(torch.tensor(0.3))

    def forward(self, x):
        gate = torch.tanh(self.alpha) + torch.sigmoid(torch.matmul(self.layer.bias, self.layer.bias))
        return (functional.gelu(self.alpha) + gate) * torch.relu(self.layer(x)).mean(1)


def test_a_single_number_is_no_unit():
    model = subject(Gated(), output, points(4), points(1))
    seen = observe(model, by_batch(model.sample.batches, range(3), 20))
    assert [(site.function, site.size) for site in seen.tallies] == [("relu", 3)]


def test_what_breaks_in_the_watching_is_not_blamed_on_the_model(monkeypatch):
    monkeypatch.setattr(Watch, "_count", lambda *_: 1 / 0)
    with pytest.raises(ProbeFailedError, match="watched_forward: ZeroDivisionError"):
        bench(audited(torch.relu, nn.Linear(4, 3), points(4))).take(WatchedForward())
    own = audited(lambda x: torch.relu(x).view(7, 7), nn.Linear(4, 3), points(4))
    with pytest.raises(ProbeFailedError, match="shape"):
        bench(own).take(WatchedForward())
