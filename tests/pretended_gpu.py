"""A GPU for machines without one: tensors that say they are on it, and are refused where a real one would be.

What is computed is computed on the CPU, so ``.item()``, masks, optimizers, DataLoader and torch.func give true numbers.
To torch's own C++ such a tensor is on the "meta" device, which every build knows; to Python it is on "cuda:0".
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from warmup_course import device

GPU, META = torch.device("cuda", 0), torch.device("meta")
aten = torch.ops.aten
COPIES = (aten._to_copy.default, aten.copy_.default)  # from one device to another
INDEXING = (aten.index, aten.index_put, aten.index_put_, aten._index_put_impl_)  # takes indices from the CPU
ABOUT_DEVICES = (torch.device, torch.get_device_module)
FROM_VALUES = (torch.tensor, torch.as_tensor, Tensor.new_tensor)


class OnGPU(Tensor):
    """A tensor on the GPU; its numbers are in ``numbers``, on the CPU."""

    numbers: Tensor
    device = property(lambda self: GPU)
    is_cuda = property(lambda self: True)
    is_meta = property(lambda self: False)

    @staticmethod
    def __new__(cls, numbers: Tensor) -> "OnGPU":
        form = {"strides": numbers.stride(), "storage_offset": numbers.storage_offset(), "dtype": numbers.dtype}
        made = Tensor._make_wrapper_subclass(cls, numbers.shape, **form, device=META)
        made.numbers = numbers
        return made

    def __repr__(self) -> str:
        return f"OnGPU({self.numbers!r})"

    def __format__(self, form: str) -> str:
        return format(self.numbers, form)

    def numpy(self, **_: Any) -> Any:
        raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first")

    def tolist(self) -> Any:
        return self.numbers.tolist()

    # These let a module exchange its parameters for such ones.
    def __tensor_flatten__(self) -> tuple[list[str], None]:
        return ["numbers"], None

    @staticmethod
    def __tensor_unflatten__(inner: dict[str, Tensor], *_: Any) -> "OnGPU":
        return OnGPU(inner["numbers"])

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, operator: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _compute(operator, args, kwargs or {})


def _compute(operator: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Apply an operator to the numbers; the result is on the GPU where its tensors are, or where ``device`` says so."""
    changed: dict[int, OnGPU] = {}  # by what holds its numbers: in place, this stays the same tensor
    on_cpu = False

    def inner(value: Any) -> Any:
        nonlocal on_cpu
        if isinstance(value, OnGPU):
            changed[id(value.numbers)] = value
            return value.numbers
        on_cpu = on_cpu or isinstance(value, Tensor | torch.Generator)
        return value

    numbers, options = _map(inner, args), {name: _map(inner, value) for name, value in kwargs.items()}
    wanted = kwargs.get("device")
    there = bool(changed) if wanted is None else wanted == META
    if operator == aten.copy_.default:
        there = isinstance(args[0], OnGPU)
    elif operator not in COPIES and (on_cpu if there else changed):
        _refuse_two_devices(operator, args, kwargs, there)
    if there and wanted is not None:
        options["device"] = torch.device("cpu")
    result = operator(*numbers, **options)
    if not there:
        return result

    def outer(value: Any) -> Any:
        return value if not isinstance(value, Tensor) else changed[id(value)] if id(value) in changed else OnGPU(value)

    return _map(outer, result)


def _refuse_two_devices(operator: Any, args: Any, kwargs: dict[str, Any], there: bool) -> None:
    if operator.overloadpacket in INDEXING and isinstance(args[0], OnGPU):
        args = (args[0], args[2:])

    def refuse(value: Any) -> None:
        if isinstance(value, torch.Generator) and there:
            raise RuntimeError(f"Expected a 'cuda' device type for generator but found 'cpu': {operator}")
        # A number without dimensions may come from the CPU where it is one operand of many.
        is_number = isinstance(value, Tensor) and not value.dim() and torch.Tag.pointwise in operator.tags
        if isinstance(value, Tensor) and isinstance(value, OnGPU) != there and not (there and is_number):
            raise RuntimeError(f"Expected all tensors to be on the same device, found cuda:0 and cpu: {operator}")

    _map(refuse, (args, list(kwargs.values())))


def _map(change: Callable[[Any], Any], value: Any) -> Any:
    """The same with every leaf changed; torch's own pytree would take most of the time."""
    if type(value) in (list, tuple):
        return type(value)([_map(change, part) for part in value])
    return change(value)


class _Operators(TorchDispatchMode):
    @classmethod
    def _should_skip_dynamo(cls) -> bool:  # else torch loads its compiler, which takes seconds
        return False

    def __torch_dispatch__(self, operator: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _compute(operator, args, kwargs or {})


class _Devices(TorchFunctionMode):
    """Lets "cuda" stand where a device is asked for."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function in ABOUT_DEVICES:
            return function(*args, **kwargs or {})
        args, kwargs = map(_to_torch, args), {name: _to_torch(value) for name, value in (kwargs or {}).items()}
        # Torch makes no use of values on META.
        if function in FROM_VALUES and kwargs.get("device") == META:
            return function(*args, **kwargs | {"device": "cpu"}).to(META)
        if function in (Tensor.__getitem__, Tensor.__setitem__):
            tensor, index, *value = args
            index = tuple(map(_index, index)) if isinstance(index, tuple) else _index(index)
            args = (tensor, index, *value)
        return function(*args, **kwargs)


def _index(index: Any) -> Any:
    return torch.tensor(index) if isinstance(index, list | np.ndarray) else index


def _to_torch(value: Any) -> Any:
    is_gpu = isinstance(value, torch.device) and value.type == "cuda"
    return META if is_gpu or (isinstance(value, str) and value.partition(":")[0] == "cuda") else value


@contextmanager
def pretended_gpu() -> Iterator[None]:
    """Inside, the package finds a GPU, in this thread: the real one where there is one."""
    if torch.cuda.is_available():
        yield
        return
    seen = SimpleNamespace(is_available=lambda: True, device_count=lambda: 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(device, "torch", SimpleNamespace(device=torch.device, cuda=seen))
        patch.setattr(torch.cuda, "get_device_name", lambda *_: "a pretended one")
        patch.setattr(torch.cuda, "get_device_properties", lambda *_: SimpleNamespace(total_memory=2**33))
        with torch.serialization.safe_globals([OnGPU]), _Operators(), _Devices():
            yield
