"""How a model is loaded: what a device, a driver or a kernel takes, and what it does not."""

from __future__ import annotations

import pytest

from tests.needs import need

torch = need("torch")

import bitsandbytes

from picture_captioner.backends.local_loading import leave_odd_layers_unpacked


def quantised(rows, columns):
    """A 4-bit layer as it stands after loading, on a CPU that would repack it."""
    layer = bitsandbytes.nn.Linear4bit(columns, rows, bias=False, quant_type="nf4")
    layer.weight = bitsandbytes.nn.Params4bit(
        torch.randn(rows, columns) / columns**0.5, requires_grad=False, quant_type="nf4"
    )
    return layer.to("cpu").eval()


@pytest.mark.parametrize(
    ("rows", "columns", "packs"),
    [(64, 64, True), (96, 128, True), (64, 96, False), (40, 64, False), (33, 96, False)],
)
def test_a_layer_is_repacked_only_where_the_kernel_takes_its_shape(rows, columns, packs):
    layer = quantised(rows, columns)
    native = layer.support_avx512bf16_for_cpu
    weights = bitsandbytes.functional.dequantize_4bit(layer.weight.data, layer.weight.quant_state)
    layer.support_avx512bf16_for_cpu = True
    leave_odd_layers_unpacked(torch.nn.Sequential(layer))
    assert layer.support_avx512bf16_for_cpu is packs
    layer.support_avx512bf16_for_cpu &= bool(native)  # the kernel itself, where there is one
    for many in (1, 8, 64, 1000):
        given = torch.randn(many, columns, dtype=torch.bfloat16)
        expected = given.float() @ weights.float().T
        with torch.inference_mode():
            answered = layer(given).float()
        assert (answered - expected).abs().max() < 0.02 * expected.abs().max()
