"""Which device the tensors live on."""

import os

import torch

VARIABLE = "WARMUP_COURSE_DEVICE"


def resolve_device(name: str = "auto") -> torch.device:
    """The torch device for ``name``.

    Args:
        name: "cpu", "cuda", "cuda:1", ... or "auto": the environment variable WARMUP_COURSE_DEVICE where it is set,
            else a GPU where torch sees one, else the CPU.

    Raises:
        ValueError: if the name is none of these, or names a GPU that is not there. There is no silent fallback.

    >>> resolve_device("cpu")
    device(type='cpu')
    """
    source = "device"
    if name == "auto":
        source = VARIABLE
        name = os.environ.get(VARIABLE, "auto")
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, _, index = str(name).partition(":")
    if kind not in ("cpu", "cuda") or (":" in str(name) and (kind == "cpu" or not index.isdecimal())):
        raise ValueError(f'{source} must be "auto", "cpu", "cuda" or "cuda:<number>", got {name!r}')
    if kind == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if int(index or 0) >= count:
            raise ValueError(f'{source} is {name!r}, but torch sees {count} GPUs here; use "cpu" or "auto"')
    return torch.device(name)
