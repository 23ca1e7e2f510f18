"""A model that returns its own loss: a mean, and it is measured of what."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from user_files import subject_in

from landscape_audit.errors import LossError

MODEL = """
import torch
from torch import nn
from torch.nn import functional

class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.head = nn.Embedding(9, 4), nn.Linear(4, 9)

    def forward(self, input_ids, labels):
        logits = self.head(torch.tanh(self.embedding(input_ids)))
        each = functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view(labels.shape)
        counted = labels != -100
        RETURN

build = Tagger
"""
LOADER = """
import torch

def batches():
    g = torch.Generator().manual_seed(3)
    ids = torch.randint(0, 9, (12, 6), generator=g)
    lengths = torch.randint(1, 7, (12,), generator=g)
    labels = ids.masked_fill(torch.arange(6) >= lengths[:, None], -100)
    labels[:4, 0] = -100
    labels[:, 1] = 3
    return [FORM for ids, labels in zip(ids.split(5), labels.split(5))]
"""
DICTS = LOADER.replace("FORM", '{"input_ids": ids, "labels": labels}')
BY_TOKENS = "return {'loss': (each * counted).sum() / counted.sum(), 'logits': logits}"
BY_EXAMPLES = "return ((each * counted).sum(1) / counted.sum(1)).mean(), logits"
SHIFTED = "return (each * counted)[:, 1:].sum() / counted[:, 1:].sum()"


@pytest.mark.parametrize(
    "form", ['{"input_ids": ids, "labels": labels}', "(ids, labels)", '({"input_ids": ids}, labels)']
)
@pytest.mark.parametrize(
    ("returned", "over", "weight"),
    [(BY_TOKENS, "targets that count", None), (BY_EXAMPLES, "examples", 12), (SHIFTED, "behind the first", None)],
    ids=["tokens", "examples", "shifted"],
)
def test_what_the_models_loss_is_the_mean_of_is_found(
    tmp_path: Path, returned: str, over: str, weight: int | None, form: str
) -> None:
    found = subject_in(
        tmp_path, MODEL.replace("RETURN", returned), LOADER.replace("FORM", form), loss={"name": "model"}
    )
    assert any("mean over the" in line and over in line for line in found.adjustments)
    labels = torch.cat([batch.targets for batch in found.sample.batches])
    counted = labels[:, 1:] if over == "behind the first" else labels
    assert found.data.weight == (weight or int((counted != -100).sum()))


def test_ragged_batches_of_a_models_own_loss_make_the_mean_over_all_tokens(tmp_path: Path) -> None:
    found = subject_in(tmp_path, MODEL.replace("RETURN", BY_TOKENS), DICTS, loss={"name": "model"})
    parts = [found.batch_loss(found.layout.views(found.theta), batch) for batch in found.sample.batches]
    given, labels = (torch.cat([part(batch) for batch in found.sample.batches]) for part in (_ids, _labels))
    loss = found.model(given, labels)["loss"]
    mean = sum(part.total for part in parts) / sum(part.weight for part in parts)
    torch.testing.assert_close(mean.float(), loss)


def _ids(batch):
    return batch.inputs["input_ids"]


def _labels(batch):
    return batch.targets


@pytest.mark.parametrize(
    ("returned", "told"),
    [
        ("return (each * counted).sum()", "neither by examples nor by targets"),
        ("return 0 * logits.sum()", 'could be weighted by "examples" and "targets" and "shifted"'),
        ("return {'logits': logits}", "the model returned a dict of 'logits', and no loss"),
        ("return logits", r"the model returned a tensor \(\d+, 6, 9\)"),
    ],
)
def test_a_loss_that_cannot_be_weighted_is_told(tmp_path: Path, returned: str, told: str) -> None:
    with pytest.raises(LossError, match=told) as caught:
        subject_in(tmp_path, MODEL.replace("RETURN", returned), DICTS, loss={"name": "model"})
    assert caught.value.remedy


def test_a_weight_that_the_user_gives_is_not_measured(tmp_path: Path) -> None:
    loss = {"name": "model", "kwargs": {"weight": "shifted"}}
    found = subject_in(tmp_path, MODEL.replace("RETURN", SHIFTED), DICTS, loss=loss)
    assert not any("by measuring" in line for line in found.adjustments)
    assert found.data.weight == sum(int((batch.targets[:, 1:] != -100).sum()) for batch in found.sample.batches)
