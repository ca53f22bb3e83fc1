"""Where auto looks first, and what is refused. GPUs are pretended, so that this runs anywhere."""

import pytest
import torch

from warmup_course.device import resolve_device


@pytest.fixture(params=[0, 1, 2])
def gpus(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.delenv("WARMUP_COURSE_DEVICE", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: request.param > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: request.param)
    return int(request.param)


def test_auto_is_a_gpu_where_there_is_one(gpus: int) -> None:
    assert resolve_device() == resolve_device("auto") == torch.device("cuda" if gpus else "cpu")


@pytest.mark.parametrize("name", ["cpu", "auto"])
def test_the_variable_decides_auto_alone(gpus: int, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARMUP_COURSE_DEVICE", name)
    assert resolve_device("auto") == torch.device("cuda" if gpus and name == "auto" else "cpu")
    if gpus:
        assert resolve_device("cuda") == torch.device("cuda")


def test_the_variable_can_name_a_gpu(gpus: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARMUP_COURSE_DEVICE", "cuda:1")
    assert resolve_device("cpu") == torch.device("cpu")
    if gpus > 1:
        assert resolve_device() == torch.device("cuda", 1)
    else:
        with pytest.raises(ValueError, match=rf"WARMUP_COURSE_DEVICE.*cuda:1.*{gpus} GPU"):
            resolve_device()


@pytest.mark.parametrize(("name", "needed"), [("cuda", 1), ("cuda:0", 1), ("cuda:1", 2), ("cuda:7", 8)])
def test_a_gpu_that_is_not_there_is_an_error_and_never_the_cpu(gpus: int, name: str, needed: int) -> None:
    if gpus >= needed:
        assert resolve_device(name) == torch.device(name)
    else:
        with pytest.raises(ValueError, match=rf'^device.*{name}.*{gpus} GPU.*"cpu"'):
            resolve_device(name)


BAD = ["", "gpu", "CPU", "cpu:0", "mps", "cuda:", "cuda:-1", "cuda:x", "cuda 0", "cuda:0:1", None, 0]


@pytest.mark.parametrize("name", BAD)
def test_other_names_are_refused_with_what_is_allowed(name: str) -> None:
    with pytest.raises(ValueError, match=r'^device must be "auto", "cpu", "cuda" or "cuda:<number>", got') as error:
        resolve_device(name)
    assert repr(name) in str(error.value)


def test_a_bad_variable_is_named_in_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARMUP_COURSE_DEVICE", "gpu")
    with pytest.raises(ValueError, match=r"^WARMUP_COURSE_DEVICE must be .*'gpu'"):
        resolve_device()


def test_a_torch_device_is_taken_as_it_is() -> None:
    assert resolve_device(torch.device("cpu")) == torch.device("cpu")  # type: ignore[arg-type]
