"""The vision tower's windows in one call a layer say what one call for each window says."""

from __future__ import annotations

import pytest

from tests.needs import need

torch = need("torch")

from picture_captioner.backends import local_windows
from picture_captioner.backends.base import BackendSettings
from picture_captioner.backends.local_hf import LocalBackend, LocalOptions
from picture_captioner.backends.local_windows import pack_windows, packed_attention
from tests.images import noise

SIZES = {
    "alike": [(730, 550)] * 4,
    "windows cut off": [(700, 600), (600, 700)],
    "very different": [(730, 550), (60, 60), (120, 900)],
    "one small": [(60, 60)],
}


@pytest.fixture(scope="module")
def engine(local_model):
    options = LocalOptions(device="cpu", max_pixels=401_408)
    backend = LocalBackend(BackendSettings(model=str(local_model("qwen2_5_vl")), options=options))
    backend.check()
    return backend._engine


@pytest.fixture
def calls(monkeypatch):
    """One entry for each call of torch's attention."""
    seen = []
    real = torch.nn.functional.scaled_dot_product_attention

    def counted(*args, **kwargs):
        seen.append(args[0].shape)
        return real(*args, **kwargs)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", counted)
    monkeypatch.setattr(local_windows, "scaled_dot_product_attention", counted)
    return seen


def prepare(engine, sizes):
    """What the vision tower takes of noise in these sizes."""
    inputs = engine.prepare([noise(*size) for size in sizes], ["x"] * len(sizes)).inputs
    return inputs["pixel_values"], inputs["image_grid_thw"]


@torch.inference_mode()
def tower(engine, given):
    return engine.model.model.visual(*given).pooler_output


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_packed_windows_say_what_single_ones_say(engine, sizes):
    visual = engine.model.model.visual
    assert visual.config._attn_implementation == local_windows.NAME, "loading packs them"
    given = prepare(engine, sizes)
    packed = tower(engine, given)
    visual.config._attn_implementation = "sdpa"
    single = tower(engine, given)
    pack_windows(visual)
    assert float((packed - single).abs().max()) < 1e-5


def test_eight_photos_take_a_call_for_each_layer(engine, calls):
    given = prepare(engine, [(730, 550)] * 8)
    tower(engine, given)
    layers = engine.model.config.vision_config.depth
    assert len(calls) == layers
    calls.clear()
    engine.model.model.visual.config._attn_implementation = "sdpa"
    tower(engine, given)
    pack_windows(engine.model.model.visual)
    assert len(calls) > 100 * layers, "what it was without"


def test_the_language_model_keeps_its_own_attention(engine):
    assert engine.model.model.language_model.config._attn_implementation == "sdpa"


@pytest.mark.parametrize("lengths", [[64], [64, 64], [64, 1, 7], [300, 300], [500, 3, 400, 9]])
def test_any_lengths(lengths):
    torch.manual_seed(0)
    query, key, value = torch.randn(3, 1, 2, sum(lengths), 8).unbind(0)
    ends = torch.tensor([0, *torch.tensor(lengths).cumsum(0)], dtype=torch.int32)
    packed, _ = packed_attention(None, query, key, value, None, 0.3, cu_seq_lens_q=ends)
    singles = [
        torch.softmax(q @ k.mT * 0.3, -1) @ v
        for q, k, v in zip(*(t[0].split(lengths, dim=1) for t in (query, key, value)), strict=True)
    ]
    wanted = torch.cat(singles, dim=1).transpose(0, 1)[None]
    assert packed.shape == wanted.shape
    assert float((packed - wanted).abs().max()) < 1e-5
