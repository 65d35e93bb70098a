"""How much memory is free, so that what does not fit is said before it is computed."""

import contextlib
import sys
from pathlib import Path

try:
    import resource
except ImportError:  # on Windows
    resource = None


def free_memory() -> int:
    """Return how many bytes this process can still take; a huge number where that is not known."""
    free = [sys.maxsize]
    if resource is None:
        return free[0]
    with contextlib.suppress(OSError, ValueError, KeyError):
        free.append(1024 * _numbers("/proc/meminfo")["MemAvailable:"])
    with contextlib.suppress(OSError, ValueError, KeyError):  # of a container
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text())
        free.append(limit - _numbers("/sys/fs/cgroup/memory.stat")["anon"])
    with contextlib.suppress(OSError, ValueError):
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit != resource.RLIM_INFINITY:
            free.append(limit - taken)
    return max(0, min(free))


def _numbers(path):
    """Return {first word: second one as a number} of the lines of a file."""
    lines = Path(path).read_text().splitlines()
    return {words[0]: int(words[1]) for line in lines if len(words := line.split()) > 1}


def require_memory(count: int, what: str) -> None:
    """Raise MemoryError unless there are as many bytes as `what`, some things, need about."""
    if count > (free := free_memory()):
        needed, there = (f"{size / 2**30:,.1f} GiB" for size in (count, free))
        raise MemoryError(f"{what} need about {needed} of memory, and {there} are free")
