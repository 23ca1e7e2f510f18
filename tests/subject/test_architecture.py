from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from declared import BERT, GPT2, save, write_config
from safetensors.torch import save_file
from torch import nn

from landscape_audit.errors import AuditError, CapabilityError, ModelError
from landscape_audit.spec import ModelSpec
from landscape_audit.subject.checkpoint.checkpoint import read_checkpoint
from landscape_audit.subject.code import library
from landscape_audit.subject.code.user_code import UserCode
from landscape_audit.subject.model.assembly import assemble

timm = pytest.importorskip("timm")
torchvision = pytest.importorskip("torchvision")
transformers = pytest.importorskip("transformers")


def assembled(folder: Path, factory: str, **settings: Any) -> nn.Module:
    stored = read_checkpoint(folder / "model.safetensors")
    spec = ModelSpec(factory=factory, **settings)
    return assemble(spec, stored, UserCode(folder), torch.float64).model


def refused(folder: Path, factory: str, **settings: Any) -> str:
    if not (folder / "model.safetensors").exists():
        save_file({"weight": torch.ones(3)}, folder / "model.safetensors")
    with pytest.raises(AuditError) as caught:
        assembled(folder, factory, **settings)
    return str(caught.value)


def bert() -> nn.Module:
    return transformers.BertForSequenceClassification(transformers.BertConfig(**BERT))


DECLARED = {
    "timm:test_vit": lambda: timm.create_model("test_vit", num_classes=3),
    "timm:test_resnet": lambda: timm.create_model("test_resnet", num_classes=3),
    "torchvision:squeezenet1_1": lambda: torchvision.models.squeezenet1_1(num_classes=3),
}


@pytest.mark.parametrize("factory", DECLARED)
def test_a_named_architecture_computes_what_the_library_s_own_does(tmp_path: Path, factory: str) -> None:
    own = DECLARED[factory]()
    save(tmp_path, own)
    model = assembled(tmp_path, factory, kwargs={"num_classes": 3})
    x = torch.randn(2, 3, 160, 160, dtype=torch.float64)
    assert torch.equal(model(x), own.double().eval()(x))


@pytest.mark.parametrize(("values", "name"), [(BERT, "BertForSequenceClassification"), (GPT2, "GPT2LMHeadModel")])
def test_a_configuration_beside_the_checkpoint_builds_the_class_it_names(
    tmp_path: Path, values: dict[str, Any], name: str
) -> None:
    config = transformers.AutoConfig.for_model(**values)
    own = getattr(transformers, name)(config)
    save(tmp_path, own)
    write_config(tmp_path, values)
    model = assembled(tmp_path, "transformers")
    words, seen = torch.randint(0, 20, (4, 7)), torch.ones(4, 7, dtype=torch.long)
    seen[:2, 5:] = 0
    expected = own.double().eval()(words, attention_mask=seen).logits
    torch.testing.assert_close(model(words, attention_mask=seen).logits, expected, rtol=1e-12, atol=1e-12)


def test_what_chooses_code_or_precision_in_a_configuration_changes_nothing(tmp_path: Path) -> None:
    save(tmp_path, bert())
    write_config(tmp_path, BERT)
    words = torch.randint(0, 20, (4, 7))
    plain = assembled(tmp_path, "transformers")(words).logits
    write_config(tmp_path, BERT, _attn_implementation="evil/kernel", torch_dtype="float16", use_kernels=True)
    assert torch.equal(assembled(tmp_path, "transformers")(words).logits, plain)


HOSTILE = {
    "auto_map": ({"auto_map": {"AutoModel": "evil.Model"}}, "names code of its own (auto_map), which is never run"),
    "nested auto_map": ({"text_config": {"auto_map": {"A": "b"}}}, "names code of its own (auto_map)"),
    "trust_remote_code": ({"trust_remote_code": True}, "names code of its own (trust_remote_code)"),
    "unknown type": ({"model_type": "bret"}, "model_type is 'bret', which the installed transformers does not know"),
    "no type": ({"model_type": None}, "model_type is missing"),
    "foreign class": ({"architectures": ["Popen"]}, "architectures[0] is 'Popen', which transformers does not have"),
    "class of another": ({"architectures": ["GPT2LMHeadModel"]}, "does not have for model_type 'bert'"),
    "a list for a class": ({"architectures": [[]]}, "architectures[0] is []"),
    "no class": ({"architectures": "BertModel"}, "architectures[0] is None"),
    "a list for a size": ({"hidden_size": [1, 2]}, "raised "),
    "a word for a size": ({"vocab_size": "many"}, "raised "),
    "a negative size": ({"vocab_size": -5}, "raised "),
    "wide": ({"hidden_size": 2**30, "num_attention_heads": 1}, "builds a model with more than"),
    "deep": ({"num_hidden_layers": 90_000}, "builds a model with more than"),
    "deeper": ({"num_hidden_layers": 10**9}, "num_hidden_layers is over 100,000"),
    "many labels": ({"num_labels": 10**9}, "num_labels is over 100,000"),
    "endless": ({"vocab_size": 10**400}, "vocab_size is over"),
    "a hub's backbone": ({"backbone": "evil/net"}, "names a backbone to be fetched"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_configuration_that_no_model_has_is_one_message(tmp_path: Path, case: str) -> None:
    changes, told = HOSTILE[case]
    save(tmp_path, bert())
    write_config(tmp_path, BERT, **changes)
    found = refused(tmp_path, "transformers")
    assert "config.json" in found
    assert told in found


FILES = {
    "missing": (Path.exists, "no such file"),
    "folder": (Path.mkdir, "is not a file"),
    "not JSON": (lambda path: path.write_text("{"), "is not JSON"),
    "not text": (lambda path: path.write_bytes(b"\xff\xfe\x00"), "is not JSON"),
    "a list": (lambda path: path.write_text("[]"), "holds list, not an object"),
    "nested": (lambda path: path.write_text("[" * 10**6), "nested too deeply"),
    "long number": (lambda path: path.write_text("1" * 5000), "is not JSON"),
    "large": (lambda path: path.write_bytes(b" " * (2**24 + 1)), "it has more than 16,777,216 bytes"),
}


@pytest.mark.parametrize("case", FILES)
def test_a_file_that_is_no_configuration_is_one_message(tmp_path: Path, case: str) -> None:
    make, told = FILES[case]
    make(tmp_path / "config.json")
    assert told in refused(tmp_path, "transformers")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "config.json")
    assert "is not a file" in refused(tmp_path, "transformers")


@pytest.mark.parametrize(
    ("factory", "told"),
    [
        ("timm:hf-hub:evil/net", "is no architecture"),
        ("timm:hf_hub:evil/net", "is no architecture"),
        ("timm:local-dir:.", "is no architecture"),
        ("timm:/tmp", "is no architecture"),
        ("timm:test_vti", "Did you mean 'test_vit'?"),
        ("torchvision:resnet8", "Did you mean 'resnet18'?"),
        ("torchvision:", "is no architecture"),
    ],
)
def test_only_names_on_the_library_s_list_are_architectures(tmp_path: Path, factory: str, told: str) -> None:
    assert told in refused(tmp_path, factory)


@pytest.mark.parametrize("key", ["pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path"])
def test_arguments_that_fetch_are_refused(tmp_path: Path, key: str) -> None:
    assert f"{key} is refused" in refused(tmp_path, "timm:test_vit", kwargs={key: "x"})
    assert "weights is refused" in refused(tmp_path, "torchvision:resnet18", kwargs={"weights": "DEFAULT"})


def test_an_argument_that_the_architecture_does_not_take_is_told(tmp_path: Path) -> None:
    assert "torchvision:resnet18: raised TypeError" in refused(tmp_path, "torchvision:resnet18", kwargs={"depht": 3})
    assert "takes config, a path" in refused(tmp_path, "transformers", kwargs={"depth": 3})


def test_an_architecture_larger_than_its_checkpoint_is_refused_before_it_is_made(tmp_path: Path) -> None:
    assert "builds a model with more than" in refused(tmp_path, "torchvision:vit_h_14")


def test_a_detector_fetches_no_backbone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", lambda *_, **__: pytest.fail("fetched"))
    large = {"weight": torch.zeros(30_000_000)}
    save_file(large, tmp_path / "model.safetensors")
    assert "tensors that torchvision:fasterrcnn_resnet50_fpn expects are not there" in refused(
        tmp_path, "torchvision:fasterrcnn_resnet50_fpn"
    )


def test_a_missing_extra_names_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(CapabilityError) as caught:
        assembled_stub(tmp_path, "timm:test_vit")
    assert caught.value.remedy == "pip install timm  or, from a checkout of landscape-audit,  pip install '.[timm]'"


def test_builds_for_different_devices_are_told_as_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = Mock(side_effect=RuntimeError("operator torchvision::nms does not exist"))
    monkeypatch.setattr(library.importlib, "import_module", broken)
    with pytest.raises(CapabilityError, match="torch and torchvision are builds for different devices") as caught:
        assembled_stub(tmp_path, "timm:test_vit")
    assert "same index" in caught.value.remedy
    assert "or uninstall torchvision, which only models of timm and torchvision need" in caught.value.remedy


def assembled_stub(folder: Path, factory: str) -> nn.Module:
    save_file({"weight": torch.ones(3)}, folder / "model.safetensors")
    return assembled(folder, factory)


def test_no_connection_is_opened_while_a_library_builds_and_all_is_as_before_afterwards() -> None:
    before = socket.socket.connect, socket.getaddrinfo
    with pytest.raises(ModelError, match="asked for a network connection"), library.lent("x"):
        socket.create_connection(("127.0.0.1", 9))
    assert (socket.socket.connect, socket.getaddrinfo) == before


def test_nothing_beside_the_config_is_imported_for_a_declared_model(tmp_path: Path) -> None:
    for name in ("kernels", "flash_attn", "deepspeed", "bert"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported')")
    save(tmp_path, bert())
    write_config(tmp_path, BERT)
    path = sys.path.copy()
    model = assembled(tmp_path, "transformers")
    code = UserCode(tmp_path)
    with code.lent("forward", ModelError):
        assert sys.path == path
        model(torch.zeros(1, 3, dtype=torch.long))


def test_words_of_a_library_reach_nobody(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    save(tmp_path, bert())
    write_config(tmp_path, BERT, unheard_of=[1], pad_token_id=3)
    assembled(tmp_path, "transformers")
    assert capfd.readouterr() == ("", "")
