"""One thread for each test process: small tensors gain nothing from more, and several processes may run at once."""

import torch

torch.set_num_threads(1)
