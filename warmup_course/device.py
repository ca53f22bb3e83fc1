"""Which device the tensors live on."""

import os

import torch

from warmup_course import variables
from warmup_course.checks import refused, shown


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
    source, given = "device", name
    name = str(name) if isinstance(name, str | torch.device) else shown(name)
    if name == "auto":
        source, given = variables.DEVICE, os.environ.get(variables.DEVICE, "auto")
        name = given
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, colon, index = name.partition(":")
    if kind not in ("cpu", "cuda") or (colon and (kind == "cpu" or not index.isdecimal())):
        raise refused(source, '"auto", "cpu", "cuda" or "cuda:<number>"', given)
    if kind == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if int(index or 0) >= count:
            raise ValueError(f'{source} is {name!r}, but torch sees {count} GPUs here; use "cpu" or "auto"')
    return torch.device(name)
