from . import data as data
from .data import Dataset as Dataset
from .device import resolve_device as resolve_device
from .export import to_code as to_code
from .model import MLP as MLP
from .model import ConvNet as ConvNet
from .model import TinyGPT as TinyGPT
from .model import TinyTransformer as TinyTransformer
from .schedulers import Schedule as Schedule
from .schedulers import lambda_lr as lambda_lr
from .schedulers import used_lrs as used_lrs
from .sweep import sweep as sweep
from .training import History as History
from .training import TrainConfig as TrainConfig
from .training import train as train

__version__: str
