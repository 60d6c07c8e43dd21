"""The card itself: driver, machine code, one real operation, bitsandbytes, 4-bit layers."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from typing import Any

import torch

from benchmarks.gpu.check import Given, Said
from picture_captioner.backends.local_devices import (
    choose_device,
    driver_version,
    runs_flash_attention,
)

ROWS = (1, 8, 64, 1000)
LAYERS = ((2048, 2048), (2048, 11_008), (11_008, 2048))
"""(in, out) of Qwen2.5-VL-3B."""

MOST_APART = 0.02
"""Of the largest number: bfloat16 keeps 8 bits, and kernels add up in another order."""


def card(given: Given, said: Said) -> None:
    """What is there, and whether it computes."""
    said.note(torch=torch.__version__, cuda=torch.version.cuda, driver=driver_version())
    said.note(transformers=version("transformers"), bitsandbytes=version("bitsandbytes"))
    said.note(card="cpu")
    device = choose_device(given.device)
    if device == "cuda":
        free, total = torch.cuda.mem_get_info()
        said.note(
            card=torch.cuda.get_device_name(),
            capability=".".join(map(str, torch.cuda.get_device_capability())),
            archs=" ".join(torch.cuda.get_arch_list()),
            free_gb=free / 1e9,
            total_gb=total / 1e9,
            flash=runs_flash_attention(),
            bf16=torch.cuda.is_bf16_supported(including_emulation=False),
        )
    left, right = torch.randn(512, 768), torch.randn(768, 256)
    there = (left.to(device) @ right.to(device)).cpu()
    apart = float((there - left @ right).abs().max() / there.abs().max())
    said.must(apart < MOST_APART, f"a product of two matrices is wrong by {apart:.2g}")
    own = subprocess.run(
        [sys.executable, "-m", "bitsandbytes"], capture_output=True, text=True, timeout=50
    )
    said.must(own.returncode == 0, f"bitsandbytes' own check: {(own.stdout + own.stderr)[-300:]}")
    words = "CUDA library loaded" if device == "cuda" else "library loaded successfully"
    if device == "cuda":
        said.must("SUCCESS" in own.stdout or words in own.stdout, "bitsandbytes sees no CUDA")


def linear4bit(given: Given, said: Said) -> None:
    """4-bit layers against the same product with dequantised weights, in 32 bit."""
    from bitsandbytes import nn as typed_layers
    from bitsandbytes.functional import dequantize_4bit

    layers: Any = typed_layers  # which are not typed

    dtype = torch.float32 if given.tiny else torch.bfloat16
    for wide, high in LAYERS[:1] if given.tiny else LAYERS:
        plain = torch.nn.Linear(wide, high, bias=False)
        layer = layers.Linear4bit(
            wide, high, bias=False, compute_dtype=dtype, quant_type="nf4", compress_statistics=True
        )
        layer.load_state_dict(plain.state_dict())
        layer = layer.to(given.device)
        weight = dequantize_4bit(layer.weight.data, layer.weight.quant_state).float()
        for rows in ROWS:
            given_rows = torch.randn(rows, wide, dtype=dtype, device=given.device)
            wanted = given_rows.float() @ weight.reshape(high, wide).T
            apart = float((layer(given_rows).float() - wanted).abs().max() / wanted.abs().max())
            said.note(**{f"{wide}x{high}, {rows} rows": apart})
            said.must(apart < MOST_APART, f"{rows} rows of {wide}x{high} are wrong by {apart:.2g}")
