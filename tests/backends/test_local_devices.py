"""Cards that are there and cannot be used, on a machine that only pretends to have one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.needs import need

torch = need("torch")

from picture_captioner.backends import local_loading, local_memory
from picture_captioner.backends.base import BackendSettings
from picture_captioner.backends.local_batching import FORGET_SECONDS, BatchSize
from picture_captioner.backends.local_devices import choose_device, runs_flash_attention
from picture_captioner.backends.local_hf import LocalBackend, LocalOptions
from picture_captioner.errors import BackendUnavailableError, ConfigurationError
from picture_captioner.workers import device_errors
from picture_captioner.workers.device_errors import DeviceFailure, cap_memory, failure_of


@pytest.fixture
def pretend(monkeypatch, tmp_path):
    """A machine with an NVIDIA driver of this version, and what torch makes of it."""

    def make(driver="550.54.14", built="13.0", reason=None, capability=None, archs=()):
        sign = tmp_path / "version"
        sign.write_text(f"NVRM version: NVIDIA UNIX x86_64 Kernel Module  {driver}  Thu\n")
        monkeypatch.setattr(device_errors, "SIGNS_OF_NVIDIA", (str(sign),))

        def init():
            if reason:
                raise RuntimeError(reason)

        monkeypatch.setattr(torch.cuda, "init", init)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: capability is not None)
        monkeypatch.setattr(torch.version, "cuda", built)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "A Card")
        monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: list(archs))

    return make


OLD = "The NVIDIA driver on your system is too old (found version 12040)"


@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_an_old_driver_is_no_silent_night_on_the_cpu(pretend, device):
    pretend(reason=OLD)
    with pytest.raises(ConfigurationError) as told:
        choose_device(device)
    for words in (OLD, "The driver is 550.54.14", "580 or newer", "CUDA 12.6", "--device cpu"):
        assert words in str(told.value)


def test_the_cpu_is_taken_when_it_is_asked_for(pretend):
    pretend(reason=OLD)
    assert choose_device("cpu") == "cpu"


def test_after_a_suspend_it_says_so(pretend):
    pretend(driver="580.65.06", reason="CUDA unknown error - this may be due to an incorrectly set")
    with pytest.raises(ConfigurationError, match="nvidia_uvm"):
        choose_device("auto")


def test_a_torch_without_cuda_beside_a_card(pretend):
    pretend(built=None, reason="Torch not compiled with CUDA enabled")
    with pytest.raises(ConfigurationError, match="built without CUDA"):
        choose_device("auto")


@pytest.mark.parametrize(
    ("capability", "archs", "runs"),
    [
        ((6, 1), ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"], False),
        ((7, 5), ["sm_75", "sm_80"], True),
        ((8, 6), ["sm_75", "sm_80"], True),
        ((8, 9), ["sm_80", "sm_86"], True),
        ((12, 0), ["sm_80", "compute_90"], True),
        ((12, 1), ["sm_80", "sm_90", "sm_120"], True),
        ((5, 0), ["sm_50", "sm_90a"], True),
        ((9, 0), ["sm_80"], False),
    ],
)
def test_a_card_without_machine_code_is_refused_before_the_first_photo(
    pretend, capability, archs, runs
):
    pretend(driver="580.1", capability=capability, archs=archs)
    if runs:
        assert choose_device("auto") == "cuda"
    else:
        with pytest.raises(ConfigurationError, match=r"A Card has compute capability \d"):
            choose_device("auto")


@pytest.mark.parametrize(("capability", "runs"), [((7, 5), False), ((8, 0), True), ((12, 0), True)])
def test_flash_attention_only_where_it_runs(pretend, capability, runs):
    pretend(capability=capability)
    assert runs_flash_attention() is runs


@pytest.mark.parametrize(("native", "dtype"), [(True, "bfloat16"), (False, "float16")])
def test_a_card_that_only_emulates_bf16_computes_in_fp16(monkeypatch, native, dtype):
    monkeypatch.setattr(
        torch.cuda,
        "is_bf16_supported",
        lambda *, including_emulation: native or including_emulation,
    )
    assert local_loading.choose_dtype("cuda", "auto") is getattr(torch, dtype)


def test_a_sixteenth_of_what_is_free_stays_free(monkeypatch):
    capped = []
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (6e9, 8e9))
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", capped.append)
    cap_memory(6e9)
    assert capped == [6 / 8 * 15 / 16]


def test_a_full_card_is_told_before_anything_is_loaded(monkeypatch):
    def full():
        raise RuntimeError("CUDA error: out of memory")

    monkeypatch.setattr(torch.cuda, "mem_get_info", full)
    with pytest.raises(BackendUnavailableError, match="nvidia-smi"):
        local_memory.free_bytes("cuda")


def backend_of(folder, **options):
    settings = BackendSettings(model=str(folder), options=LocalOptions(**options))
    return LocalBackend(settings)


@pytest.mark.parametrize(
    ("gigabytes", "source", "told"),
    [
        (8.6, "Qwen/Qwen2.5-VL-3B-Instruct", "--model qwen3-vl-2b or --model qwen3-vl-4b"),
        (25.8, "qwen2.5-vl-3b", "--model qwen2.5-vl-7b"),
        (8.6, "somebody/else", None),
    ],
)
def test_the_first_lines_of_a_run_name_what_fits_the_card(
    monkeypatch, local_model, gigabytes, source, told
):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (gigabytes * 1e9, gigabytes * 1e9))
    said = []
    backend = LocalBackend(BackendSettings(model=source, notice=said.append))
    chosen = local_loading.plan(local_model(), "cpu", "none", 50_000, 16)
    backend._tell(replace(chosen, device="cuda"))
    assert said[1:] == ([f"Others that fit this card: {told}"] if told else [])


@pytest.mark.parametrize("where", ["choose_device", "_skeleton"])
@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("CUDA error: out of memory", "its memory is full"),
        ("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED", "its memory is full"),
        ("CUDA error: unspecified launch failure", "it is not well"),
    ],
)
def test_a_card_that_fails_before_the_first_photo_is_69_with_advice(
    monkeypatch, local_model, where, words, reason
):
    def fail(*_):
        raise RuntimeError(words)

    monkeypatch.setattr(local_loading, where, fail)
    with pytest.raises(BackendUnavailableError, match=reason) as told:
        backend_of(local_model()).check()
    for part in (words, "nvidia-smi", "--device cpu"):
        assert part in str(told.value)


def test_memory_that_runs_out_while_the_model_loads_is_69_with_advice(monkeypatch, local_model):
    def fail(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 148.00 MiB.")

    kind = local_loading.transformers.AutoModelForImageTextToText
    monkeypatch.setattr(kind, "from_pretrained", fail)
    with pytest.raises(BackendUnavailableError, match="while the model was loaded") as told:
        backend_of(local_model(), device="cpu").check()
    assert "a smaller --model" in str(told.value)


def test_an_error_of_ours_while_loading_stays_what_it_is(monkeypatch, local_model):
    def fail(*_):
        raise RuntimeError("dictionary changed size during iteration")

    monkeypatch.setattr(local_loading, "_skeleton", fail)
    with pytest.raises(RuntimeError, match="dictionary"):
        backend_of(local_model(), device="cpu").check()


@pytest.mark.parametrize(
    ("free", "waited", "told"),
    [([7.9e9], 0, 0), ([1e9, 1e9, 7.9e9], 2, 0), ([1e9], 60, 1)],
    ids=["there", "back after two seconds", "taken by others"],
)
def test_a_model_is_loaded_again_when_its_memory_is_back(monkeypatch, free, waited, told):
    answers = iter([*free, *[free[-1]] * 100])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (next(answers), 8e9))
    slept, said = [], []
    local_memory.wait_for_memory(8e9, "auto", said.append, slept.append)
    assert (len(slept), len(said)) == (waited, told)
    local_memory.wait_for_memory(8e9, "cpu", said.append, slept.append)
    local_memory.wait_for_memory(None, "cuda", said.append, slept.append)
    assert len(slept) == waited


@pytest.mark.parametrize(("asked", "most"), [("auto", 2), (8, 2), (1, 1)])
def test_after_a_death_for_want_of_memory_half_as_many_are_taken(local_model, asked, most):
    backend = backend_of(local_model(), device="cpu", batch_size=asked, max_pixels=20_000)
    backend.before = {"free": 1e9, "batch_that_was_killed": 4}
    backend.check()
    assert backend.batch_limit == most
    assert backend.batch_now <= most
    assert backend.facts()["free"] > 1e6


@pytest.mark.parametrize(
    "words",
    [
        'NVML_SUCCESS == r INTERNAL ASSERT FAILED at "CUDACachingAllocator.cpp":1016',
        "CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`",
        "CUDA error: device not ready",
    ],
)
def test_out_of_memory_in_other_clothes_is_tried_with_less_first(words):
    assert failure_of(RuntimeError(words)) is DeviceFailure.PERHAPS_MEMORY


def test_the_batch_grows_again_when_a_squeeze_is_over():
    now = [0.0]
    batch = BatchSize(1, 64, lambda: now[0])
    for _ in range(5):
        batch.fitted(batch.size)
    assert batch.size == 32
    while batch.size > 3:
        batch.failed(batch.size)
    squeezed = batch.size
    batch.fitted(squeezed)
    assert batch.size <= 3
    now[0] = FORGET_SECONDS + 1
    for _ in range(6):
        batch.fitted(batch.size)
    assert batch.size >= 24
    batch.failed(batch.size)
    assert batch.limit < 64, "and what does not fit is remembered again"
