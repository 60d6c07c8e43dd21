"""How a model is loaded: what a device, a driver or a kernel takes, and what it does not."""

from __future__ import annotations

import pytest

from tests.needs import need

torch = need("torch")

import bitsandbytes
from PIL import Image

from picture_captioner.backends import local_loading
from picture_captioner.backends.base import BackendSettings
from picture_captioner.backends.local_hf import LocalBackend, LocalOptions
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


@pytest.fixture
def without_bf16(local_model, monkeypatch):
    """A backend as on a card before the RTX 30 series, which has float16 alone."""
    monkeypatch.setattr(local_loading, "choose_dtype", lambda *_: torch.float16)
    options = LocalOptions(device="cpu", batch_size=4, max_pixels=50_000, quantization="none")
    settings = BackendSettings(str(local_model("qwen2_5_vl")), max_tokens=12, options=options)
    backend = LocalBackend(settings)
    backend.check()
    return backend


def test_a_card_without_bf16_computes_the_tower_in_32_bit(without_bf16):
    model = without_bf16._engine.model.model
    assert {p.dtype for p in model.visual.parameters()} == {torch.float32}
    assert {p.dtype for p in model.language_model.parameters()} == {torch.float16}
    footprint = without_bf16._engine._plan.footprint
    counted = sum(p.numel() * p.element_size() for p in without_bf16._engine.model.parameters())
    assert footprint.weights("none") == counted
    assert without_bf16.caption(Image.new("RGB", (120, 80), "red"), ())


def test_a_picture_that_overflows_16_bit_costs_itself_alone(without_bf16):
    images = [Image.new("RGB", (280 + 56 * i, 140), "red") for i in range(3)]
    alone = without_bf16.caption(images[0], ())
    embed = without_bf16._engine.model.model.visual

    def overflow(_module, given, keywords, output):
        grids = keywords["grid_thw"]
        ends = (grids.prod(-1) // 4).cumsum(0).tolist()
        wide = images[1].width // 28
        for end, grid in zip(ends, grids.tolist(), strict=True):
            if grid[2] // 2 == wide:
                output.pooler_output[end - 1] = 1e6
        return output

    embed.register_forward_hook(overflow, with_kwargs=True)
    answers = without_bf16.caption_batch(images, [()] * 3)
    assert [getattr(answer, "code", None) for answer in answers] == [None, "not_finite", None]
    assert answers[0] == alone
