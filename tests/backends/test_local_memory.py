"""How much memory a model should take, how it is made to fit, and what is said when it cannot."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.needs import need

torch = need("torch")

import transformers

from picture_captioner.backends import local_loading
from picture_captioner.backends.base import BackendSettings
from picture_captioner.backends.local_families import FAMILIES, family_of, visual_tokens
from picture_captioner.backends.local_hf import DEFAULT_MAX_PIXELS, LocalBackend, LocalOptions
from picture_captioner.backends.local_loading import choose_device, plan
from picture_captioner.backends.local_memory import (
    WORKSPACE_BYTES,
    Footprint,
    Parameters,
    choose_quantization,
    patches_per_token,
    photo_bytes,
)
from picture_captioner.errors import BackendUnavailableError, ConfigurationError
from tests.local_models import FAMILIES as MADE

GB = 1e9

# Qwen2.5-VL-3B, counted on its configuration: 3.75 billion, 0.31 of them in tied embeddings
QWEN_3B = Footprint(Parameters(2_774_532_096, 980_090_880), 0.14 * GB, WORKSPACE_BYTES, 2)


@pytest.mark.parametrize(
    ("quantization", "gigabytes"), [("none", 7.51), ("int8", 4.73), ("int4", 3.39)]
)
def test_weights_of_a_3b_model(quantization, gigabytes):
    assert QWEN_3B.weights(quantization) / GB == pytest.approx(gigabytes, abs=0.01)


@pytest.mark.parametrize(
    ("free", "chosen"), [(24, "none"), (12, "none"), (9, "int4"), (7.4, "int4"), (1, "int4")]
)
def test_auto_takes_16_bit_where_it_leaves_room_for_a_batch(free, chosen):
    assert choose_quantization(QWEN_3B, "cuda", free * GB) == chosen


def test_auto_quantises_on_cuda_only():
    assert choose_quantization(QWEN_3B, "cpu", 1 * GB) == "none"


@pytest.fixture
def make_plan(local_model):
    def make(**given):
        given = {"device": "cpu", "quantization": "none", "max_pixels": 50_000} | given
        return plan(local_model(), new_tokens=16, **given)

    return make


def test_parameters_are_those_of_the_files(make_plan, local_model):
    from safetensors import safe_open

    with safe_open(local_model() / "model.safetensors", "pt") as file:
        stored = sum(file.get_tensor(name).numel() for name in file.keys())  # noqa: SIM118
    parameters = make_plan().footprint.parameters
    assert parameters.quantisable + parameters.others == stored
    assert parameters.quantisable == 2 * (64 * (64 + 32 + 32 + 64) + 3 * 64 * 96)


def test_a_photo_costs_more_with_more_pixels_and_longer_answers(make_plan, local_model):
    few, many = (make_plan(max_pixels=area).footprint.photo for area in (20_000, 400_000))
    assert 0 < few < many
    longer = plan(local_model(), "cpu", "none", 20_000, new_tokens=2000).footprint.photo
    assert longer > few


def test_less_memory_can_be_given_to_it_than_is_free(local_model):
    chosen = plan(local_model(), "cpu", "none", 20_000, 16, memory_gb=0.001)
    assert chosen.free == 0.001 * GB
    with pytest.raises(BackendUnavailableError, match=r"0\.001 GB are free"):
        chosen.check_that_it_fits("model")


def test_a_model_that_fits_is_not_refused(make_plan):
    make_plan().check_that_it_fits("model")


def test_a_refusal_names_the_numbers_and_every_way_out(make_plan):
    chosen = replace(make_plan(), footprint=QWEN_3B, device="cuda", free=5.0 * GB)
    with pytest.raises(BackendUnavailableError) as error:
        chosen.check_that_it_fits("Qwen/Qwen2.5-VL-3B-Instruct")
    told = str(error.value)
    for words in (
        "Qwen/Qwen2.5-VL-3B-Instruct needs about 8.2 GB",
        "7.5 weights",
        "5.0 GB are free",
        "--quantization int4 (about 4.1 GB)",
        "nvidia-smi",
        "a smaller --model",
        "--device cpu",
    ):
        assert words in told
    assert "--quantization int8" not in told, "5.5 GB do not fit, either"


def test_nothing_is_loaded_if_it_does_not_fit(local_model, monkeypatch):
    monkeypatch.setattr(local_loading, "free_bytes", lambda device: 1000.0)
    told = []
    backend = LocalBackend(BackendSettings(model=str(local_model()), notice=told.append))
    with pytest.raises(BackendUnavailableError, match="GB are free"):
        backend.check()
    assert backend._engine is None
    assert "Loading" in told[0]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_device_that_is_not_there_is_refused_and_auto_takes_the_cpu():
    with pytest.raises(ConfigurationError, match=r"--device cuda: torch .* sees none .*cpu"):
        choose_device("cuda")
    assert choose_device("auto") in {"mps", "cpu"}


def test_a_small_batch_of_numbers_for_each_family():
    costs = {name: visual_tokens(family, DEFAULT_MAX_PIXELS) for name, family in FAMILIES.items()}
    assert costs["qwen2_5_vl"] == 512
    assert costs["qwen3_vl"] == costs["qwen3_5"] == 392
    assert all(100 < cost < 1100 for cost in costs.values()), costs
    assert set(MADE) <= set(FAMILIES)


def test_an_unknown_family_is_refused_and_another_of_transformers_is_tried():
    with pytest.raises(ConfigurationError, match=r"(?s)'fantasy'.*Qwen2\.5-VL.*Ollama"):
        family_of("fantasy")
    family, known = family_of("llava")
    assert (family.model_type, known) == ("llava", False)


def test_code_that_comes_with_a_model_is_never_run(tmp_path):
    (tmp_path / "config.json").write_text(
        '{"model_type": "evil", "auto_map": {"AutoConfig": "evil.Config"}}'
    )
    (tmp_path / "evil.py").write_text("raise SystemExit('it ran')")
    backend = LocalBackend(BackendSettings(model=str(tmp_path)))
    with pytest.raises(ConfigurationError, match="without running code from the hub"):
        backend.check()


def test_a_model_that_is_stored_in_4_bit_is_weighed_by_its_files(local_model, tmp_path):
    chosen = plan(local_model(), "cpu", "int4", 20_000, 16)
    local_loading.load_model(chosen).save_pretrained(tmp_path)
    local_loading.load_processor(chosen.folder).save_pretrained(tmp_path)
    stored = plan(tmp_path, "cpu", "auto", 20_000, 16)
    files = sum(file.stat().st_size for file in tmp_path.glob("*.safetensors"))
    assert stored.footprint.weights(stored.quantization) == pytest.approx(files, abs=4)
    kinds = {type(module).__name__ for module in local_loading.load_model(stored).modules()}
    assert "Linear4bit" in kinds
    with pytest.raises(ConfigurationError, match="quantised already"):
        plan(tmp_path, "cpu", "int8", 20_000, 16)


def test_pickled_weights_are_not_read(local_model, tmp_path):
    model = tmp_path / "pickled"
    model.mkdir()
    for file in local_model().iterdir():
        if file.suffix != ".safetensors":
            (model / file.name).write_bytes(file.read_bytes())
    (model / "pytorch_model.bin").write_bytes(b"not read")
    backend = LocalBackend(BackendSettings(model=str(model), options=LocalOptions(device="cpu")))
    with pytest.raises(BackendUnavailableError, match="does not load"):
        backend.check()


def test_damaged_weights_are_an_answer_and_not_a_traceback(local_model, tmp_path):
    model = tmp_path / "damaged"
    model.mkdir()
    for file in local_model().iterdir():
        (model / file.name).write_bytes(file.read_bytes())
    weights = model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    backend = LocalBackend(BackendSettings(model=str(model), options=LocalOptions(device="cpu")))
    with pytest.raises(BackendUnavailableError, match="does not load"):
        backend.check()


def seen_by_the_tower(config, tokens):
    """Bytes for the vision tower of a photo, without cache and layers."""
    empty = photo_bytes(config, 0, 0, 2)
    grown = photo_bytes(config, tokens, -tokens, 2)  # as many tokens of text less
    return grown - empty


@pytest.mark.parametrize(
    ("kind", "given", "tokens", "patches"),
    [
        ("Gemma3Config", {"vision_config": {"image_size": 896, "patch_size": 14}}, 256, 4096),
        ("SmolVLMConfig", {"scale_factor": 4}, 64, 1024),
        ("Idefics3Config", {"scale_factor": 3}, 81, 729),
        ("Qwen2_5_VLConfig", {}, 512, 2048),
    ],
)
def test_a_photo_counts_the_patches_that_the_tower_works_on(kind, given, tokens, patches):
    config = getattr(transformers, kind)(**given)
    assert patches_per_token(config) * tokens == patches
    assert seen_by_the_tower(config, tokens) == 12 * config.vision_config.hidden_size * 2 * patches
