"""How much memory this process holds, and the most it has held since it last forgot; by Linux's own account."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

PROCESS = Path("/proc/self")
FORGET_PEAK = "5"  # what to write into clear_refs, see proc(5)


def held() -> float:
    """Resident memory [MB]."""
    return _status("VmRSS")


def peak() -> float:
    """The most resident memory [MB] since ``forget_peak``; since the process began where that is not permitted."""
    return _status("VmHWM")


def forget_peak() -> None:
    """From here on the peak counts anew."""
    with suppress(OSError):
        (PROCESS / "clear_refs").write_text(FORGET_PEAK)


def _status(name: str) -> float:
    lines = (PROCESS / "status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith(f"{name}:"))
