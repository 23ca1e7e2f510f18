"""What is proposed for a checkpoint is TOML whatever anything is called, says only what was found, and runs nothing."""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from landscape_audit.errors import CheckpointError
from landscape_audit.proposal.proposal import _GATES, propose
from landscape_audit.proposal.toml import comment, quoted
from landscape_audit.proposal.weights import Weights
from landscape_audit.subject.checkpoint.header import Header, Stored

HOSTILE = [
    'x"]\n[gates."loss.value"]\nat_most = 1e9\nwhy = "mine',
    "x\x1b[31m\x00\x7f\x85<script>{{7*7}}\u202e\u2028",
    "../../etc/passwd",
    "y" * 100_000,
    "'''\"\"\"\\",
    "# # #",
]
TENSORS = {"0.weight": torch.zeros(8, 6), "0.bias": torch.zeros(8), "2.weight": torch.zeros(3, 8)}
MODEL = "from torch import nn\ndef build():\n    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))\n"
DATA = "def validation():\n    yield 1\n"


def proposed(folder: Path, tensors=None, **files):
    """What is proposed for a checkpoint with `files` beside it, as text and as TOML."""
    for name, text in files.items():
        (folder / name.replace("_py", ".py").replace("_json", ".json")).write_text(text)
    save_file(TENSORS if tensors is None else tensors, folder / "model.safetensors")
    found = propose(folder / "model.safetensors", folder / "audit.toml")
    return found, tomllib.loads(found.text)


def test_a_model_and_its_data_are_named_as_they_are_found(tmp_path):
    found, config = proposed(tmp_path, model_py=MODEL, data_py=DATA)
    assert config["model"] == {"factory": "model.py:build"}
    assert config["data"] == {"loader": "data.py:validation"}
    assert config["loss"] == {"name": "cross_entropy"}
    assert config["checkpoint"] == {"path": "model.safetensors"}
    assert found.missing == ()
    assert found.guessed == ("[loss] name = \"cross_entropy\": the last layer, '2.weight', has 3 outputs",)


def test_what_is_proposed_is_what_an_audit_takes(tmp_path):
    from landscape_audit.spec import AuditSpec

    _, config = proposed(tmp_path, model_py=MODEL, data_py=DATA)
    assert AuditSpec.model_validate(config).model.factory == "model.py:build"


def test_with_nothing_beside_it_what_is_missing_is_named_with_an_example(tmp_path):
    found, config = proposed(tmp_path)
    assert [line.split(":")[0] for line in found.missing] == ["[model] factory", "[data] loader"]
    assert 'factory = "model.py:build"' in found.missing[0]
    assert config["model"] == config["data"] == {}
    assert '# factory = "model.py:build"  # MISSING' in found.text


def test_one_of_several_files_is_not_taken_for_the_checkpoint(tmp_path):
    save_file(TENSORS, tmp_path / "model-00001-of-00002.safetensors")
    (tmp_path / "model.safetensors.index.json").write_text("{}")
    with pytest.raises(CheckpointError, match="is one of several files of a checkpoint"):
        propose(tmp_path / "model-00001-of-00002.safetensors", tmp_path / "audit.toml")


def test_a_name_that_is_no_text_is_passed_over(tmp_path):
    (tmp_path / os.fsdecode(b"\xff.py")).write_text(MODEL)
    (tmp_path / "m\u00fc.py").write_text(MODEL)
    _, config = proposed(tmp_path)
    assert config["model"] == {"factory": "m\u00fc.py:build"}


def test_nothing_beside_it_is_run(tmp_path):
    bomb = "open('went-off', 'w')\nraise SystemExit\n"
    _, config = proposed(tmp_path, model_py=bomb + MODEL, data_py=DATA)
    assert config["model"] == {"factory": "model.py:build"}
    assert not list(tmp_path.glob("went-off")) + list(Path().glob("went-off"))


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_names_of_tensors_never_become_settings(tmp_path, name):
    tensors = {name: torch.zeros(2, 2), f"module.{name}": torch.zeros(2), f"{name}.1.weight": torch.zeros(4, 2)}
    found, config = proposed(tmp_path, tensors, model_py=MODEL, data_py=DATA)
    assert set(config) == {"checkpoint", "model", "data", "loss", "protocol"}
    assert config["model"] == {"factory": "model.py:build"}
    assert_harmless(found.text)
    assert len(found.text) < 10_000


@pytest.mark.parametrize("word", HOSTILE, ids=range(len(HOSTILE)))
def test_words_in_files_beside_it_never_become_settings(tmp_path, word):
    save_file(TENSORS, tmp_path / "model.safetensors", metadata={word[:50]: word, "lr": word})
    config = json.dumps({"architectures": [word], "model_type": word, "id2label": {word: word}})
    adapter = json.dumps({"base_model_name_or_path": word})
    (tmp_path / "config.json").write_text(config)
    (tmp_path / "adapter_config.json").write_text(adapter)
    found = propose(tmp_path / "model.safetensors", tmp_path / "audit.toml")
    tables = tomllib.loads(found.text)
    assert set(tables) == {"checkpoint", "model", "data", "loss", "protocol"}
    assert tables["model"] == {"factory": "transformers"}
    assert_harmless(found.text)


@pytest.mark.parametrize("name", ['a"b.py', "a\nb.py", "ü\u202e.py", "a'#[x].py", "a\\u0041.py"])
def test_a_file_of_any_name_is_named_exactly(tmp_path, name):
    (tmp_path / name).write_text(MODEL)
    found, config = proposed(tmp_path)
    assert config["model"]["factory"] == f"{name}:build"
    assert_harmless(found.text)


@settings(max_examples=500, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_string_survives_being_quoted(text):
    line = quoted(text)
    assert tomllib.loads(f"x = {line}") == {"x": text}
    assert_harmless(line)


@settings(max_examples=500, deadline=None)
@given(st.text())
def test_a_comment_is_one_line_that_says_nothing(text):
    assert tomllib.loads(comment(text)) == {}
    comment(text).encode()


def assert_harmless(text):
    assert not [
        character for character in text if character != "\n" and ord(character) in {*range(32), *range(127, 160)}
    ]
    assert "\u202e" not in text
    assert "\u2028" not in text


# ------------------------------------------------------------------------------------------------------------ sources


@pytest.mark.parametrize(
    ("text", "factory"),
    [
        ("class Net(nn.Module):\n    def __init__(self):\n        self.body = 1\n", "model.py:Net"),
        ("class Net(nn.Module):\n    def __init__(self):\n        self.other = 1\n", None),
        ("def anything() -> nn.Module:\n    ...\n", "model.py:anything"),
        ("def anything() -> 'torch.nn.Module':\n    ...\n", "model.py:anything"),
        ("def one() -> nn.Module: ...\ndef two() -> nn.Module: ...\n", None),
        ("def block(width) -> nn.Module: ...\ndef whole() -> nn.Module: ...\n", "model.py:whole"),
        ("def _build() -> nn.Module: ...\n", None),
        ("def train(x): ...\n", None),
        ("def (\n", None),
        ("(" * 5000, None),
        ("\0", None),
    ],
)
def test_the_only_plausible_factory_is_taken(tmp_path, text, factory):
    _, config = proposed(tmp_path, {"body.weight": torch.zeros(3, 2)}, model_py=text)
    assert config["model"].get("factory") == factory


def test_arguments_that_a_factory_cannot_do_without_are_missing(tmp_path):
    found, config = proposed(tmp_path, model_py="def build(width, *, depth, heads=2) -> nn.Module: ...", data_py=DATA)
    assert config["model"] == {"factory": "model.py:build"}
    assert len(found.missing) == 1
    assert "kwargs = { width = 0, depth = 0 }" in found.missing[0]


@pytest.mark.parametrize(
    ("text", "loader"),
    [
        ("def training() -> DataLoader: ...\ndef validation() -> DataLoader: ...\n", "data.py:validation"),
        ("def training() -> DataLoader: ...\n", None),
        ("def batches():\n    return [1]\n", "data.py:batches"),
        ("def first() -> DataLoader: ...\ndef second() -> DataLoader: ...\n", None),
        ("def anything():\n    return DataLoader(x)\n", "data.py:anything"),
        ("def normalise(x): ...\n", None),
    ],
)
def test_the_only_plausible_loader_is_taken_and_never_the_training_data(tmp_path, text, loader):
    _, config = proposed(tmp_path, data_py=text)
    assert config["data"].get("loader") == loader


@pytest.mark.parametrize(
    ("text", "loader"),
    [
        (
            "validation = TensorDataset(x, y)\ndef shuffled() -> DataLoader: ...\ndef augmented() -> DataLoader: ...\n",
            "data.py:validation",
        ),
        (
            "train_loader = DataLoader(a)\nval_loader = DataLoader(b)\nval_set = TensorDataset(c)\n",
            "data.py:val_loader",
        ),
        ("trainset, testset = random_split(everything, [9, 1])\n", "data.py:testset"),
        ("class Digits(Dataset): ...\n", "data.py:Digits"),
        ("class Digits(Dataset): ...\nheld = Digits()\n", "data.py:held"),
        ("class TrainDigits(Dataset): ...\nclass ValDigits(Dataset): ...\n", "data.py:ValDigits"),
        ("def shuffled() -> DataLoader: ...\ndef augmented_data() -> DataLoader: ...\n", None),
        ("val_fraction = float('0.1')\ntest_size = 3\nval = 4\n", None),
    ],
)
def test_a_variable_or_a_class_can_be_the_loader_and_what_is_shuffled_or_augmented_never_is(tmp_path, text, loader):
    _, config = proposed(tmp_path, data_py=text)
    assert config["data"].get("loader") == loader


@pytest.mark.parametrize(
    ("model", "data", "guessed"),
    [
        (MODEL, DATA, []),
        (MODEL, "def batches():\n    yield 1\n", ["[data] loader"]),
        (MODEL, DATA + "def batches():\n    yield 1\n", ["[data] loader"]),
        ("def anything() -> nn.Module: ...", DATA, ["[model] factory"]),
    ],
)
def test_what_was_chosen_by_guess_is_to_be_confirmed(tmp_path, model, data, guessed):
    found, _ = proposed(tmp_path, model_py=model, data_py=data)
    assert [line.split(" =")[0] for line in found.guessed if not line.startswith("[loss]")] == guessed


def test_a_file_with_inputs_and_targets_is_data(tmp_path):
    arrays = {"inputs": np.zeros((4, 6)), "targets": np.zeros(4)}
    np.savez(tmp_path / "val.npz", **arrays)
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    (tmp_path / "junk.npz").write_bytes(b"PK\x03\x04junk")
    _, config = proposed(tmp_path)
    assert config["data"] == {"file": "val.npz"}


@pytest.mark.parametrize(
    ("arrays", "architecture", "data"),
    [
        (["input_ids", "attention_mask", "labels"], "BertForSequenceClassification", {}),
        (["input_ids", "attention_mask"], "GPT2LMHeadModel", {}),
        (["input_ids", "attention_mask"], "BertForSequenceClassification", None),
        (["x", "y"], "", {"inputs": ["x"], "targets": "y"}),
        (["images", "label"], "", {"inputs": ["images"], "targets": "label"}),
        (["X", "Y"], "", {"inputs": ["X"], "targets": "Y"}),
        (["a", "b"], "", None),
    ],
)
def test_a_file_of_arrays_that_an_audit_takes_is_data(tmp_path, arrays, architecture, data):
    np.savez(tmp_path / "val.npz", **{name: np.zeros((4, 6)) for name in arrays})
    config = {"architectures": [architecture]} if architecture else {}
    _, tables = proposed(tmp_path, config_json=json.dumps(config))
    assert tables["data"] == ({} if data is None else {"file": "val.npz", **data})


def test_of_several_files_the_one_for_validation_is_taken(tmp_path):
    for name in ("train", "test", "val", "latest", "other"):
        np.savez(tmp_path / f"{name}.npz", x=np.zeros(4), y=np.zeros(4))
    _, tables = proposed(tmp_path)
    assert tables["data"]["file"] == "val.npz"
    (tmp_path / "val.npz").unlink()
    _, tables = proposed(tmp_path)
    assert tables["data"]["file"] == "test.npz"


def test_targets_are_looked_for_where_the_data_are_read():
    from landscape_audit.proposal.beside import TARGETS
    from landscape_audit.subject.data import intake

    assert TARGETS == intake.TARGETS


def test_a_model_of_one_output_is_not_guessed_to_be_a_classifier_or_a_regression(tmp_path):
    found, tables = proposed(tmp_path, {"a.weight": torch.zeros(8, 6), "b.weight": torch.zeros(1, 8)}, model_py=MODEL)
    assert tables["loss"] == {}
    assert '# name = "bce_with_logits"' in found.text
    assert '# name = "mse"' in found.text
    assert any(line.startswith("[loss] name") for line in found.missing)


# ------------------------------------------------------------------------------------------------- -------- libraries


@pytest.mark.parametrize(
    ("config", "loss"),
    [
        ({"architectures": ["GPT2LMHeadModel"]}, {"name": "causal_lm"}),
        ({"architectures": ["LlamaForCausalLM"]}, {"name": "causal_lm"}),
        ({"architectures": ["BertForMaskedLM"]}, {"name": "masked_lm"}),
        ({"architectures": ["BertForSequenceClassification"]}, {"name": "cross_entropy", "output": "logits"}),
        (
            {"architectures": ["BertForSequenceClassification"], "problem_type": "multi_label_classification"},
            {"name": "bce_with_logits", "output": "logits"},
        ),
        (
            {"architectures": ["BertForSequenceClassification"], "id2label": {"0": "x"}},
            {"name": "mse", "output": "logits"},
        ),
        ({"architectures": ["T5ForConditionalGeneration"]}, {"name": "model"}),
        ({"model_type": "bert"}, {"name": "model"}),
    ],
)
def test_a_transformers_config_names_the_factory_and_the_loss(tmp_path, config, loss):
    found, tables = proposed(tmp_path, config_json=json.dumps(config), data_py=DATA)
    assert tables["model"] == {"factory": "transformers"}
    assert tables["loss"] == loss
    assert found.missing == ()
    assert '# inputs = ["input_ids", "attention_mask"]' in found.text


@pytest.mark.parametrize(
    ("name", "tied"), [("GPT2LMHeadModel", True), ("BertForMaskedLM", True), ("BertForSequenceClassification", False)]
)
def test_embeddings_are_tied_only_where_there_are_two(tmp_path, name, tied):
    config = json.dumps({"architectures": [name], "tie_word_embeddings": True})
    found, _ = proposed(tmp_path, config_json=config)
    assert ("one tied tensor" in found.text) == tied


def test_a_config_of_timm_names_its_model(tmp_path):
    _, tables = proposed(tmp_path, config_json=json.dumps({"architecture": "resnet18", "num_classes": 7}))
    assert tables["model"] == {"factory": "timm:resnet18", "kwargs": {"num_classes": 7}}


@pytest.mark.parametrize("text", ["[]", "{", "3", '{"architectures": 3}', '{"architectures": []}', "[" * 100_000])
def test_another_config_is_none(tmp_path, text):
    _, tables = proposed(tmp_path, config_json=text)
    assert tables["model"] == {}


def test_an_adapter_lacks_its_base(tmp_path):
    adapter = json.dumps({"base_model_name_or_path": "org/base"})
    found, tables = proposed(tmp_path, model_py=MODEL, data_py=DATA, adapter_config_json=adapter)
    assert "base" not in tables["model"]
    assert found.missing == (
        '[model] base: the file or folder of what this adapter lies over, org/base, such as  base = "base/"',
    )


@pytest.mark.parametrize(
    ("task", "loss"), [("CAUSAL_LM", "causal_lm"), ("SEQ_CLS", "cross_entropy"), ("SEQ_2_SEQ_LM", "model")]
)
def test_the_task_of_an_adapter_names_the_library_and_the_loss(tmp_path, task, loss):
    np.savez(tmp_path / "val.npz", input_ids=np.zeros((4, 6), int), labels=np.zeros(4, int))
    found, tables = proposed(tmp_path, adapter_config_json=json.dumps({"task_type": task}))
    assert tables["model"] == {"factory": "transformers"}
    assert tables["loss"] == {"name": loss}
    assert tables["data"] == {"file": "val.npz"}
    assert [line.split(":")[0] for line in found.missing] == ["[model] base"]
    assert found.guessed[0].startswith('[model] factory = "transformers": an adapter for')


def test_the_adapter_of_a_model_of_ones_own_goes_with_its_factory(tmp_path):
    _, tables = proposed(tmp_path, model_py=MODEL, adapter_config_json=json.dumps({"task_type": "CAUSAL_LM"}))
    assert tables["model"] == {"factory": "model.py:build"}


@pytest.mark.parametrize("prefix", ["module", "_orig_mod", "module._orig_mod", "_orig_mod.module"])
def test_a_wrapper_is_a_prefix_that_loading_takes_off(tmp_path, prefix):
    from landscape_audit.spec import ModelSpec
    from landscape_audit.subject.model.names import model_names

    tensors = {f"{prefix}.{name}": value for name, value in TENSORS.items()}
    _, tables = proposed(tmp_path, tensors, model_py=MODEL)
    spec = ModelSpec.model_validate(tables["model"])
    assert set(model_names(tensors, spec, "the test").values()) == set(TENSORS)


def test_the_state_of_an_optimiser_is_not_the_models(tmp_path):
    _, tables = proposed(tmp_path, {**TENSORS, "optimizer.0.exp_avg": torch.zeros(3)}, model_py=MODEL)
    assert tables["model"]["strict"] is False


@pytest.mark.parametrize(
    ("shapes", "head"),
    [
        ({"0.weight": (8, 6), "10.weight": (3, 8), "9.bias": (3,)}, ("10.weight", 3)),
        ({"net.0.weight": (8, 6), "net.2.weight": (3, 8)}, ("net.2.weight", 3)),
        ({"0.weight": (8, 6), "1.weight": (8,)}, None),
        ({"a.0.weight": (8, 6), "b.2.weight": (3, 8)}, None),
        ({"body.weight": (8, 6), "fc.weight": (5, 8)}, ("fc.weight", 5)),
        ({"body.weight": (8, 6)}, None),
        ({"body.weight": (8, 6), "odd.weight": (1, 8)}, ("odd.weight", 1)),
        ({"body.weight": (8, 6), "a.weight": (1, 8), "b.weight": (1, 8)}, None),
    ],
)
def test_the_last_layer_is_told_by_its_name_or_number_or_not_at_all(shapes, head):
    weights = Weights.of(Header({name: Stored("F32", shape) for name, shape in shapes.items()}, {}, 1))
    assert weights.head() == head


def test_the_gates_that_are_offered_are_ones_that_can_be_held():
    from landscape_audit.checks import chosen
    from landscape_audit.gates.lint import expect
    from landscape_audit.ids import declared
    from landscape_audit.policy import Policy
    from landscape_audit.spec import ChecksSpec

    lines = [
        line.removeprefix("# ")
        for line in _GATES.splitlines()
        if line.startswith("# ") and ("[gates" in line or " = " in line)
    ]
    policy = Policy.model_validate(tomllib.loads("\n".join(lines)))
    assert len(policy.gates) == 4
    assert all(map(declared, policy.gates))
    expect(policy, [check.id for check in chosen(ChecksSpec())])
