from contextlib import ExitStack

import pytest
import torch

from nst import openmp
from nst.device import CUDNN_IN_FLOAT32, LOADED_EARLY, choose_device


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> dict:
    """A CUDA device with the properties that the test gives it."""
    facts = {"capability": (9, 0)}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda *_: "NVIDIA Test")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda *_: facts["capability"])
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda *_: None)
    return facts


def cpu_with(monkeypatch: pytest.MonkeyPatch, amx: bool = False, avx512: bool = False) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_tile": amx, "avx512_bf16": avx512, "neon": True})


@pytest.mark.parametrize(
    ("probes", "dtype", "word"),
    [
        ({}, torch.float32, "no native bfloat16"),
        ({"avx512": True}, torch.bfloat16, "AVX512_BF16"),
        ({"amx": True}, torch.bfloat16, "AMX"),
    ],
    ids=str,
)
def test_cpu_computes_in_bfloat16_only_where_it_is_native(probes, dtype, word, no_gpu, monkeypatch) -> None:
    cpu_with(monkeypatch, **probes)
    chosen = choose_device()
    assert (chosen.device, chosen.dtype) == (torch.device("cpu"), dtype)
    assert "no CUDA" in chosen.reason
    assert word in chosen.reason
    assert chosen.reason in str(chosen)


def test_cpu_of_another_kind_computes_in_float32(no_gpu, monkeypatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"architecture": "arm64", "neon": True})
    assert choose_device().dtype == torch.float32


@pytest.mark.parametrize(("precision", "dtype"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_precision_is_as_asked_and_says_so(precision: str, dtype: torch.dtype, no_gpu, monkeypatch) -> None:
    cpu_with(monkeypatch, avx512=precision == "float32")
    chosen = choose_device("cpu", precision)
    assert chosen.dtype == dtype
    assert "as asked" in chosen.reason


def test_cpu_asked_for_is_taken_though_there_is_a_gpu(gpu) -> None:
    chosen = choose_device("cpu", "float32")
    assert chosen.device == torch.device("cpu")
    assert "as asked" in chosen.reason


@pytest.mark.parametrize("precision", ["auto", "float32"])
@pytest.mark.parametrize(("too_late", "threads", "said"), [(True, 2, True), (True, 1, False), (False, 2, False)])
def test_reason_says_that_torch_was_loaded_too_early(precision, too_late, threads, said, no_gpu, monkeypatch) -> None:
    monkeypatch.setattr(openmp, "TOO_LATE", too_late)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    assert (LOADED_EARLY in choose_device("cpu", precision).reason) == said


def test_gpu_does_not_care_when_torch_was_loaded(gpu, monkeypatch) -> None:
    monkeypatch.setattr(openmp, "TOO_LATE", True)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert LOADED_EARLY not in choose_device().reason


@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_missing_gpu_is_refused_with_the_remedy(device: str, no_gpu) -> None:
    with pytest.raises(ValueError, match=device) as caught:
        choose_device(device)
    assert "cpu" in str(caught.value)


def test_gpu_number_past_the_last_is_refused(gpu) -> None:
    with pytest.raises(ValueError, match="cuda:1"):
        choose_device("cuda:1")


@pytest.mark.parametrize("device", ["auto", "cuda", "cuda:0"])
def test_gpu_is_taken_when_present_and_named(device: str, gpu) -> None:
    chosen = choose_device(device)
    assert (chosen.device, chosen.dtype) == (torch.device("cuda", 0), torch.bfloat16)
    assert "NVIDIA Test" in chosen.reason


def test_old_gpu_computes_in_float32(gpu) -> None:
    gpu["capability"] = (7, 5)
    assert choose_device().dtype == torch.float32


def test_cudnn_s_flags_are_restored_by_the_last_of_several_runs() -> None:
    """They belong to the process, and each run on a GPU sets them while another one is inside."""
    cudnn = torch.backends.cudnn
    before = cudnn.benchmark, cudnn.allow_tf32
    try:
        cudnn.benchmark, cudnn.allow_tf32 = True, True
        for _ in range(2):
            first, second = ExitStack(), ExitStack()
            first.enter_context(CUDNN_IN_FLOAT32)
            second.enter_context(CUDNN_IN_FLOAT32)
            first.close()
            assert (cudnn.benchmark, cudnn.allow_tf32) == (False, False), "the second run is still inside"
            second.close()
            assert (cudnn.benchmark, cudnn.allow_tf32) == (True, True)
    finally:
        cudnn.benchmark, cudnn.allow_tf32 = before
