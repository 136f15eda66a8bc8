"""Ask a running logger how it is: the health check of a container.

``python -m multilogger.health.probe`` ends with status 0 when ``/health`` answers 200 (healthy or degraded),
with 1 otherwise, and prints one line that tells which. The port is 8080, or ``MULTILOGGER__HEALTH__PORT``.
"""

from __future__ import annotations

import http
import http.client
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Final

PORT_VARIABLE: Final = "MULTILOGGER__HEALTH__PORT"
DEFAULT_PORT: Final = "8080"
ANSWER_SECS: Final = 5.0
"""An event loop that can't answer within this is not healthy either."""

# Whatever proxy the environment names is for the exchanges, never for the own loopback.
_opener: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def probe(url: str) -> tuple[bool, str]:
    """Fetch ``url``.

    Returns:
        Whether the answer was a 200, and one line of what came instead or what it said.
    """
    try:
        with _opener.open(url, timeout=ANSWER_SECS) as answer:
            return answer.status == http.HTTPStatus.OK, f"{url}: {answer.status}"
    except urllib.error.HTTPError as error:
        with error:
            return False, f"{url}: {error.code}"
    except (OSError, OverflowError, http.client.HTTPException) as error:
        return False, f"{url}: {error}"


def main(environ: Mapping[str, str] = os.environ) -> int:
    """Probe the logger of this machine; return the exit status."""
    port = environ.get(PORT_VARIABLE, DEFAULT_PORT)
    good, line = probe(f"http://127.0.0.1:{port}/health")
    sys.stdout.write(line + "\n")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
