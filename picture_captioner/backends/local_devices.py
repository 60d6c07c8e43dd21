"""Which device a model runs on; and why a graphics card that is there cannot be used.

torch says "no CUDA" in the same way where there is no card, where the driver is older than the
wheel, and after a laptop was suspended. Overnight nobody notices that the CPU does the work, so a
card that does not start is told and not passed over.
"""

from __future__ import annotations

import re
from pathlib import Path

import torch

from picture_captioner.errors import ConfigurationError
from picture_captioner.workers import device_errors

_DRIVER_OF_CUDA = {"13": 580, "12": 525}
"""The oldest driver that runs programs built for this CUDA (minor version compatibility)."""

CUDA_12_CURE = (
    "update the driver (580 or newer), or install torch for CUDA 12.6, which runs with drivers "
    "from 525 on and cards from the GTX 900 series on (docs/self_hosted_models.md), or give "
    "--device cpu"
)
_CAPABILITY_OF_FLASH = (8, 0)


def choose_device(wanted: str) -> str:
    """`cuda`, `mps` or `cpu`; `auto` takes the first that there is.

    Raises:
        ConfigurationError: the device asked for is not there, or a card is and does not start.
    """
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if wanted in {"auto", "cuda"} and (reason := device_errors.why_no_cuda()) is not None:
        raise ConfigurationError(_does_not_start(reason))
    if wanted == "auto":
        wanted = next(name for name, available in there.items() if available)
    if not there[wanted]:
        found = ", ".join(name for name, available in there.items() if available)
        raise ConfigurationError(
            f"--device {wanted}: torch {torch.__version__} sees none (it sees: {found}). For cuda "
            "check that `nvidia-smi` works and that torch was built for it"
        )
    if wanted == "cuda":
        _check_kernels()
    return wanted


def driver_version() -> str | None:
    """`550.54.14`; None where the kernel does not say."""
    try:
        sign = Path(device_errors.SIGNS_OF_NVIDIA[0])
        text = sign.read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    found = re.search(r"\b(\d{3,}\.\d+(?:\.\d+)?)\b", text)
    return found[1] if found else None


def _does_not_start(reason: str) -> str:
    """What torch says of a card that is there, and the cure."""
    built, driver = torch.version.cuda, driver_version()
    start = f"there is an NVIDIA card, and CUDA does not start: {reason}. "
    if built is None:
        return start + (
            f"This torch ({torch.__version__}) is built without CUDA: install the one with CUDA "
            "(docs/self_hosted_models.md), or give --device cpu, which is slow"
        )
    needed = _DRIVER_OF_CUDA.get(built.partition(".")[0], 0)
    if driver and int(driver.partition(".")[0]) < needed:
        return start + (
            f"The driver is {driver}, and torch {torch.__version__} for CUDA {built} needs "
            f"{needed} or newer: {CUDA_12_CURE}"
        )
    return start + (
        f"The driver is {driver or 'unknown'}, torch {torch.__version__} is for {built}. After "
        "a suspended laptop unload and load the module nvidia_uvm, or restart; check that "
        "`nvidia-smi` works; --device cpu goes on without the card, slowly"
    )


def _check_kernels() -> None:
    """Refuse a card for which this torch has no machine code.

    Raises:
        ConfigurationError: every photo would end with "no kernel image is available".
    """
    major, minor = torch.cuda.get_device_capability()
    pattern = re.compile(r"(sm|compute)_(\d+?)(\d)[a-z]?")
    found = [pattern.fullmatch(arch) for arch in torch.cuda.get_arch_list()]
    known = [(match[1], int(match[2]), int(match[3])) for match in found if match]
    runs = any(
        (big == major and small <= minor) if kind == "sm" else (big, small) <= (major, minor)
        for kind, big, small in known
    )
    if known and not runs:
        raise ConfigurationError(
            f"{torch.cuda.get_device_name()} has compute capability {major}.{minor}, for which "
            f"torch {torch.__version__} (CUDA {torch.version.cuda}) has no code: {CUDA_12_CURE}"
        )


def runs_flash_attention() -> bool:
    """FlashAttention 2 needs an RTX 30 or newer (compute capability 8.0)."""
    return torch.cuda.get_device_capability() >= _CAPABILITY_OF_FLASH
