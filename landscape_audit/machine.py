"""The machine that an audit runs on: its device, its memory, its arithmetic, and how it is described."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from landscape_audit import __version__
from landscape_audit.errors import CapabilityError
from landscape_audit.results import EnvironmentInfo
from landscape_audit.spec import ProtocolSpec
from landscape_audit.torchrun import is_several, local


def device_of(protocol: ProtocolSpec) -> torch.device:
    """The device to audit on, or an error that says what there is. Under `torchrun`, each process has its own GPU."""
    name = protocol.device
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and is_several():
        name = f"cuda:{local('LOCAL_RANK', 0)}"
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise CapabilityError(
            f"device {name}: this machine has {torch.cuda.device_count()} CUDA devices.", remedy="Use --device cpu."
        )
    if device.index is not None:
        torch.cuda.set_device(device)
    return device


def memory_for(protocol: ProtocolSpec, device: torch.device) -> int:
    """What basis and graphs may take: half of the memory that is free, or less where the protocol says so."""
    return int(min(free_memory(device) // 2, protocol.max_bytes))


def free_memory(device: torch.device) -> int:
    """Bytes that this process can still have there: of host memory, an equal share for each process of the machine."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return _available() // local("LOCAL_WORLD_SIZE", 1)


def _available() -> int:
    """Host memory that can be had: what the kernel would free for it included, what a container forbids left out."""
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = 1024 * int(next(line for line in lines if line.startswith("MemAvailable")).split()[1])
        with contextlib.suppress(OSError, ValueError):  # "max" where there is no limit
            group = Path("/sys/fs/cgroup")
            limit, used = (int((group / name).read_text(encoding="ascii")) for name in ("memory.max", "memory.current"))
            free = min(free, max(0, limit - used))
        return free
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def synchronise(device: torch.device) -> None:
    """Wait for what the device was given, so that a clock shows it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def environment(device: torch.device, processes: int) -> EnvironmentInfo:
    """The machine and the software that numbers may depend on."""
    names = ("numpy", "pydantic", "safetensors")
    return EnvironmentInfo(
        landscape_audit=__version__,
        python=platform.python_version(),
        torch=torch.__version__,
        device=device.type,
        device_name=torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine(),
        platform=f"{sys.platform} {platform.release()}",
        threads=torch.get_num_threads(),
        processes=processes,
        tf32=torch.backends.cuda.matmul.allow_tf32,
        deterministic=torch.are_deterministic_algorithms_enabled(),
        packages={name: importlib.metadata.version(name) for name in names},
    )


@dataclass(frozen=True)
class _Arithmetic:
    matmul: bool
    cudnn: bool
    deterministic: int
    benchmark: bool


@contextlib.contextmanager
def exact_arithmetic() -> Iterator[None]:
    """TF32 off, deterministic kernels where torch has them, no autotuning; as it was, afterwards."""
    cuda, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    was = _Arithmetic(cuda.allow_tf32, cudnn.allow_tf32, torch.get_deterministic_debug_mode(), cudnn.benchmark)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    cuda.allow_tf32 = cudnn.allow_tf32 = cudnn.benchmark = False
    # Deterministic with a warning where that cannot be; use_deterministic_algorithms loads the compiler for it, 1.4 s.
    torch.set_deterministic_debug_mode("warn")
    try:
        yield
    finally:
        cuda.allow_tf32, cudnn.allow_tf32, cudnn.benchmark = was.matmul, was.cudnn, was.benchmark
        torch.set_deterministic_debug_mode(was.deterministic)
