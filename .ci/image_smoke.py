"""Run inside the image: the container's logger answers /health and leaves files in the volume.

The image's own entry point logs simulated exchanges, which run beside it, into the image's own volume.
"""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

DATA = pathlib.Path(os.environ["MULTILOGGER__LOGGER__DATA_PATH"])


def wait_for(what, found, deadline=time.monotonic() + 60):
    """Wait until ``found`` returns something, and return that."""
    while not (result := found()):
        if time.monotonic() > deadline:
            sys.exit(f"image: no {what} within a minute")
        time.sleep(0.1)
    return result


simulation = subprocess.Popen(["multilogger", "simulate"], stdout=subprocess.PIPE, text=True)
endpoints = json.loads(simulation.stdout.readline())
overrides = {
    f"MULTILOGGER__EXCHANGES__{exchange.upper()}__{key.upper()}": value
    for exchange, urls in endpoints.items()
    for key, value in urls.items()
}
logger = subprocess.Popen(["multilogger"], env={**os.environ, **overrides})
wait_for(
    "/health", lambda: subprocess.run([sys.executable, "-m", "multilogger.health.probe"]).returncode == 0
)
columns = wait_for("column files", lambda: sorted(DATA.glob("*/*/TRADES/trade_time.*.bin")))
logger.send_signal(signal.SIGTERM)
status = logger.wait(timeout=15)
simulation.send_signal(signal.SIGTERM)
simulation.wait(timeout=15)
rows = sum(file.stat().st_size // 4 for file in columns)
print(
    f"image: user {os.getuid()}, /health answered, {len(columns)} TRADES files with {rows} rows in {DATA}, exit {status}"
)
sys.exit(status or os.getuid() == 0 or not rows)
