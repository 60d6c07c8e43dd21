"""What torch's exceptions mean: out of memory, the device is gone, or does not start.

torch tells most of it in words only. The words were read in its sources (c10/cuda, aten/mps).
"""

from __future__ import annotations

import enum
from pathlib import Path

import torch

SIGNS_OF_NVIDIA = ("/proc/driver/nvidia/version", "/dev/nvidiactl", "/dev/dxg")
"""Of the driver; the last one is WSL2's."""

_OUT_OF_MEMORY = (
    "out of memory",
    "can't allocate memory",  # the allocator of the CPU
    "cublas_status_alloc_failed",
    "cudnn_status_alloc_failed",
)
_PERHAPS_MEMORY = (
    "nvml_success == r",  # the allocator asks NVML how much is free, and fails when none is
    "cublas_status_not_initialized",  # no room for cuBLAS's workspace
    "cudnn_status_not_initialized",
    "device not ready",  # WSL2
)
"""Running out of memory in other clothes, or a device that is gone: with less it will show."""

_LOST = (
    "cuda error",
    "device-side assert",
    "unspecified launch failure",
    "cuda driver",
    "driver shutting down",
    "nvml",
    "cublas_status_execution_failed",
    "hip error",
    "mps backend",
    "command buffer",
)


class DeviceFailure(enum.Enum):
    """What went wrong on the device."""

    OUT_OF_MEMORY = "out of memory"
    PERHAPS_MEMORY = "perhaps out of memory"
    DEVICE_LOST = "device lost"


def failure_of(error: BaseException) -> DeviceFailure | None:
    """What an exception says about the device; None if it says nothing about it."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return DeviceFailure.OUT_OF_MEMORY
    if not isinstance(error, RuntimeError):
        return None
    words = str(error).lower()
    if any(phrase in words for phrase in _OUT_OF_MEMORY):
        return DeviceFailure.OUT_OF_MEMORY
    if any(phrase in words for phrase in _PERHAPS_MEMORY):
        return DeviceFailure.PERHAPS_MEMORY
    accelerator = getattr(torch, "AcceleratorError", None)
    if accelerator is not None and isinstance(error, accelerator):
        return DeviceFailure.DEVICE_LOST
    return DeviceFailure.DEVICE_LOST if any(phrase in words for phrase in _LOST) else None


def first_line(error: BaseException) -> str:
    """The line that says what happened; torch adds advice on debugging below it."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def why_no_cuda() -> str | None:
    """Why an NVIDIA card that is there does not start, in torch's words; None if all is well."""
    if torch.cuda.is_available() or not any(Path(sign).exists() for sign in SIGNS_OF_NVIDIA):
        return None
    try:
        torch.cuda.init()  # type: ignore[no-untyped-call]
    except (RuntimeError, AssertionError) as error:
        return first_line(error).rstrip(".")
    return "torch gives no reason"


def cap_memory(free: float) -> None:
    """Let torch run out of a CUDA card's memory before the driver does.

    On WSL2 the driver otherwise moves memory to the computer's own without a word, and everything
    becomes many times slower. A sixteenth of the `free` bytes stays free for the desktop.
    """
    total = torch.cuda.mem_get_info()[1]
    torch.cuda.set_per_process_memory_fraction(free * 15 / 16 / total)
