"""Learning-rate warmup in PyTorch, measured: schedules, small models, and many training runs at once."""

from warmup_course import data
from warmup_course.data import Dataset
from warmup_course.device import resolve_device
from warmup_course.export import to_code
from warmup_course.model import MLP, ConvNet, TinyTransformer
from warmup_course.schedulers import Schedule, lambda_lr, used_lrs
from warmup_course.sweep import sweep
from warmup_course.training import History, TrainConfig, train

__version__ = "0.1.0"

__all__ = [
    "MLP",
    "ConvNet",
    "Dataset",
    "History",
    "Schedule",
    "TinyTransformer",
    "TrainConfig",
    "data",
    "lambda_lr",
    "resolve_device",
    "sweep",
    "to_code",
    "train",
    "used_lrs",
]
