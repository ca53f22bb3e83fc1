"""Does a sweep's time grow as its runs do, and what memory does it take?

Two hidden layers of 64, 50 steps, evaluated at the end, 20 to 20,000 runs on all cores. The memory is what the
process has for itself, at its highest.
"""

import threading
import time

import psutil

from warmup_course import TrainConfig, sweep

CONFIG = TrainConfig(loss="squared_error", total_steps=50, evaluate="end", device="cpu")
EVERY = 0.1


class Peak:
    """The most memory that this process took so far, in bytes, looked at now and then."""

    def __init__(self) -> None:
        self.bytes = 0
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        me = psutil.Process()
        while True:
            self.bytes = max(self.bytes, me.memory_full_info().uss)
            time.sleep(EVERY)


def main() -> None:
    sweep(CONFIG, seed=range(2000))  # imports and allocates
    peak = Peak()
    print(f"{'runs':>8}{'seconds':>10}{'run-steps/s':>14}{'peak memory':>14}")
    for runs in (20, 200, 2000, 20_000):
        begin = time.perf_counter()
        sweep(CONFIG, peak_lr=[0.001 * 2**k for k in range(10)], seed=range(runs // 10))
        seconds = time.perf_counter() - begin
        time.sleep(2 * EVERY)
        print(f"{runs:8,}{seconds:10.2f}{runs * CONFIG.total_steps / seconds:14,.0f}{peak.bytes / 1e9:11.2f} GB")


if __name__ == "__main__":
    main()
