"""Cards that are there and cannot be used, on a machine that only pretends to have one."""

from __future__ import annotations

import pytest

from tests.needs import need

torch = need("torch")

from picture_captioner.backends import local_devices, local_memory
from picture_captioner.backends.local_batching import FORGET_SECONDS, BatchSize
from picture_captioner.backends.local_devices import choose_device, runs_flash_attention
from picture_captioner.backends.local_errors import DeviceFailure, failure_of
from picture_captioner.errors import BackendUnavailableError, ConfigurationError


@pytest.fixture
def pretend(monkeypatch, tmp_path):
    """A machine with an NVIDIA driver of this version, and what torch makes of it."""

    def make(driver="550.54.14", built="13.0", reason=None, capability=None, archs=()):
        sign = tmp_path / "version"
        sign.write_text(f"NVRM version: NVIDIA UNIX x86_64 Kernel Module  {driver}  Thu\n")
        monkeypatch.setattr(local_devices, "_SIGNS_OF_NVIDIA", (str(sign),))

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


def test_a_full_card_is_told_before_anything_is_loaded(monkeypatch):
    def full():
        raise RuntimeError("CUDA error: out of memory")

    monkeypatch.setattr(torch.cuda, "mem_get_info", full)
    with pytest.raises(BackendUnavailableError, match="nvidia-smi"):
        local_memory.free_bytes("cuda")


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
