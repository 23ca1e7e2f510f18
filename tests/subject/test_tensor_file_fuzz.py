"""Files that are nearly safetensors: read as the `safetensors` library reads them, or refused with one message.

2,500 cases by default; `LANDSCAPE_AUDIT_FUZZ=100000` tries more.
"""

from __future__ import annotations

import json
import math
import os
import struct
import time
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load, save

from landscape_audit.errors import CheckpointError
from landscape_audit.subject.checkpoint.tensor_file import TensorFile, read_tensor_file

CASES = int(os.environ.get("LANDSCAPE_AUDIT_FUZZ", "2500"))
LONGEST = 2.0  # seconds that one small file may take on a busy machine; it takes a millisecond

VALID = save(
    {
        "a.weight": torch.arange(6.0).view(2, 3),
        "a.bias": torch.ones(3, dtype=torch.float16),
        "count": torch.tensor(7),
        "none": torch.zeros(0, 3),
        "odd": torch.tensor([True, False, True]),
        "small": torch.ones(5).to(torch.float8_e4m3fn),
    },
    metadata={"by": "a test", "words": "ä"},
)
LENGTH = 8 + int.from_bytes(VALID[:8], "little")
HEADER = json.loads(VALID[8:LENGTH])

NUMBERS = st.one_of(
    st.integers(-2, 40),
    st.sampled_from([2**31, 2**32, 2**62, 2**63 - 1, 2**63, 2**64 - 1, 2**64, 2**70, 10**30]),
    st.sampled_from([0.0, -0.0, 1.5, 4.0, 1e400, float("nan"), True, False, None, "4", [4], {}]),
)
DTYPES = st.sampled_from(
    [
        *("F64", "F32", "F16", "BF16", "I64", "U64", "U32", "U16", "U8", "I8", "BOOL", "C64", "F8_E5M2", "F8_E4M3FNUZ"),
        *("F8_E8M0", "F4", "F6_E2M3", "F9", "f32", "", "F32 ", None, 3, ["F32"]),
    ]
)
SAME_SIZE = (
    ("F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "U8", "I8", "BOOL"),
    ("F16", "BF16", "I16", "U16"),
    ("F32", "I32", "U32"),
    ("F64", "I64", "U64", "C64"),
)
NAMES = st.one_of(
    st.sampled_from(
        ["a.weight", "a.bias", "", "__metadata__", "../x", "\x00", "\ud800", "\u202e", "{{7*7}}", "x" * 999]
    ),
    st.text(max_size=4),
)
WORDS = st.one_of(st.dictionaries(NAMES, st.one_of(NAMES, NUMBERS), max_size=2), NUMBERS)


@st.composite
def entries(draw: st.DrawFn) -> dict[str, Any]:
    """One tensor's entry: half of the time one that is right but for its place."""
    shape = draw(st.lists(st.integers(0, 3), max_size=3))
    begin = draw(st.integers(0, 24))
    entry = {"dtype": "F32", "shape": shape, "data_offsets": [begin, begin + 4 * int(torch.Size(shape).numel())]}
    for key in draw(st.sets(st.sampled_from(sorted(entry)), max_size=1)):
        wrong = {"dtype": DTYPES, "shape": st.lists(NUMBERS, max_size=3), "data_offsets": st.lists(NUMBERS, max_size=3)}
        entry[key] = draw(st.one_of(wrong[key], NUMBERS))
    return entry | draw(st.sampled_from([{}] * 9 + [{"more": 1}]))


@st.composite
def flipped(draw: st.DrawFn) -> bytes:
    """The valid file with bytes of it replaced, taken out, put in or cut off, mostly in its header."""
    content = bytearray(VALID)
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.one_of(st.integers(0, min(LENGTH, len(content))), st.integers(0, len(content))))
        width = draw(st.integers(0, 3))
        content[place : place + width] = draw(
            st.binary(max_size=3) | st.sampled_from([b"{", b"}", b'"', b",", b"9", b"-"])
        )
    cut = draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))
    return bytes(content[:cut])


def rearrange(draw: st.DrawFn, header: dict[str, Any]) -> dict[str, Any]:
    """Another header that means a file as well: other names, an order, types of the same size, shapes, words."""
    name = draw(st.sampled_from(sorted(header.keys() - {"__metadata__"})))
    entry = header[name]
    match draw(st.sampled_from(["name", "order", "dtype", "shape", "words", "more"])):
        case "name":
            another = draw(st.text(st.characters(exclude_categories=["Cs"]), max_size=4))
            return {another if key == name and another not in header else key: each for key, each in header.items()}
        case "order":
            return dict(draw(st.permutations(list(header.items()))))
        case "dtype":
            entry["dtype"] = draw(st.sampled_from(next(kinds for kinds in SAME_SIZE if entry["dtype"] in kinds)))
        case "shape":
            shape = draw(st.permutations([*entry["shape"], *[1] * draw(st.integers(0, 3))]))
            entry["shape"] = draw(st.sampled_from([shape, [math.prod(shape)]]))
        case "words":
            text = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
            header["__metadata__"] = draw(st.dictionaries(text, text, max_size=3))
        case "more":
            end = draw(st.sampled_from(entry["data_offsets"]))
            kind = draw(st.sampled_from([kind for kinds in SAME_SIZE for kind in kinds]))
            header.setdefault("nothing", {"dtype": kind, "shape": [2, 0], "data_offsets": [end, end]})
    return header


@st.composite
def edited(draw: st.DrawFn) -> bytes:
    """The valid file with another header, in half of the cases with one thing wrong in it, or with its length."""
    header = json.loads(json.dumps(HEADER))
    for _ in range(draw(st.integers(0, 4))):
        header = rearrange(draw, header)
    if draw(st.booleans()):
        return framed(header, VALID[LENGTH:], 0)
    name = draw(st.sampled_from(sorted(header)))
    if draw(st.booleans()):
        header[name] = draw(st.one_of(entries(), WORDS))
    elif name != "__metadata__":
        key = draw(st.sampled_from(["dtype", "shape", "data_offsets"]))
        header[name][key] = draw(st.one_of(DTYPES, st.lists(NUMBERS, max_size=3), NUMBERS))
    else:
        header[name] = draw(WORDS)
    return framed(header, VALID[LENGTH:], draw(st.sampled_from([0, 0, 0, 1, -1, 2**20, 2**27, 2**62])))


@st.composite
def generated(draw: st.DrawFn) -> bytes:
    """Tensors laid out one after another, as they must be, or nearly so."""
    header: dict[str, Any] = draw(st.dictionaries(NAMES, entries(), max_size=3))
    end = 0
    for entry in header.values():
        match entry["data_offsets"]:
            case [int(begin), int(after)] if draw(st.integers(0, 5)):
                entry["data_offsets"] = [end, end + after - begin]
                end += after - begin
    if draw(st.booleans()):
        header["__metadata__"] = draw(WORDS)
    return framed(header, bytes(min(max(end, 0), 10_000) + draw(st.sampled_from([0, 0, 0, 1]))), 0)


def framed(header: dict[str, Any], data: bytes, lie: int) -> bytes:
    words = json.dumps(header).encode()
    return struct.pack("<Q", (len(words) + lie) % 2**64) + words + data


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "m.safetensors"


def read_or_refused(place: Path) -> TensorFile | CheckpointError:
    try:
        return read_tensor_file(place)
    except CheckpointError as error:
        return error


def is_read_as_by_the_library_or_refused(place: Path, content: bytes) -> bool:
    """Which of the two it was: whether it was read."""
    place.write_bytes(content)
    started = time.perf_counter()
    found = read_or_refused(place)
    assert time.perf_counter() - started < LONGEST
    if isinstance(found, CheckpointError):
        assert found.what.startswith("m.safetensors: ")
        assert not any(unicodedata.category(character).startswith("C") for character in found.what)
        assert found.remedy
        assert len(str(found)) < 1000
        return False
    expected = load(content)
    assert found.tensors.keys() == expected.keys()
    for name, tensor in expected.items():
        assert found.tensors[name].dtype == tensor.dtype
        assert found.tensors[name].shape == tensor.shape
        assert have_the_same_bytes(found.tensors[name], tensor)
    return True


def have_the_same_bytes(one: torch.Tensor, other: torch.Tensor) -> bool:
    flat = [tensor.contiguous().reshape(-1).view(torch.uint8) for tensor in (one, other)]
    return torch.equal(*flat)


LEAST = {flipped: 0.0, edited: 0.3, generated: 0.0}
"""The share of files that must be read, and of those that must be refused, for the search to explore both."""


@pytest.mark.parametrize("kind", LEAST)
def test_a_file_is_read_as_the_library_reads_it_or_refused_in_one_message(place: Path, kind: Any) -> None:
    outcomes = Counter[bool]()

    @settings(
        max_examples=CASES // 3 + 1,
        deadline=None,
        derandomize=CASES == 2500,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(kind())
    def each(content: bytes) -> None:
        outcomes[is_read_as_by_the_library_or_refused(place, content)] += 1

    each()
    assert outcomes[True] > LEAST[kind] * outcomes.total()
    assert outcomes[False] > LEAST[kind] * outcomes.total()


def test_the_valid_file_itself_is_read(place: Path) -> None:
    assert is_read_as_by_the_library_or_refused(place, VALID)
    assert read_tensor_file(place).metadata == {"by": "a test", "words": "ä"}
