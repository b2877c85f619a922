"""What a server tells of itself, in the text format of Prometheus; and that it answers whatever happens."""

from __future__ import annotations

import logging
import resource
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

BUCKETS = (0.001, 0.002, 0.005, 0.007, 0.01, 0.02, 0.05, 0.1, 1.0)  # [s]
PREFIX = "asars"
Endpoint = Callable[[Request], Awaitable[Response]]


class Metrics:
    """Counts of this process, from its start."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def watch(self, endpoint: Endpoint) -> Endpoint:
        """An endpoint that counts its answers, and whose errors are answers, too: never a traceback."""

        async def answer(request: Request) -> Response:
            start = time.perf_counter()
            try:
                response = await endpoint(request)
            except HTTPException as error:
                response = JSONResponse({"error": error.detail}, error.status_code)
            except (ValueError, TypeError, OverflowError) as error:  # the package says what is wrong
                response = JSONResponse({"error": str(error)}, 400)
            except Exception:
                logging.exception("%s failed", request.url.path)
                response = JSONResponse({"error": "the server failed"}, 500)
            self.answered(request.url.path, response.status_code, time.perf_counter() - start)
            return response

        return answer

    def answered(self, path: str, status: int, seconds: float) -> None:
        """Take in an answer."""
        self.counts[f'requests_total{{path="{path}",status="{status}"}}'] += 1
        for bound in (*BUCKETS, "+Inf"):
            self.counts[f'request_seconds_bucket{{path="{path}",le="{bound}"}}'] += seconds <= float(bound)
        self.counts[f'request_seconds_sum{{path="{path}"}}'] += seconds
        self.counts[f'request_seconds_count{{path="{path}"}}'] += 1

    def text(self, **now: float) -> str:
        """All counts, and some values as they are now."""
        values: Mapping[str, float] = {**now, "resident_memory_bytes": resident_memory(), **self.counts}
        return "".join(f"{PREFIX}_{name} {value}\n" for name, value in values.items())


def resident_memory() -> int:
    """Memory of this process [bytes]."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
