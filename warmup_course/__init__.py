"""Learning-rate warmup in PyTorch, measured: schedules, small models, and many training runs at once.

What there is stands in __init__.pyi. torch takes a second to import, so only what asks for it waits.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
