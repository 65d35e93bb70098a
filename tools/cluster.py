"""Calls on the workers of a Dask cluster, each result passed on as soon as it is there.

This asks the client of dask.distributed, not joblib's backend for Dask: with the client it is known
which call failed when workers died while they did it, workers that join later are used, and what
has been passed on is given up at once, so that a worker's death never costs what is already stored.

A worker does not do a call itself but in a process beside it: Dask's own threads draw from Python's
random numbers, and no run would be repeatable. That process ends with its worker.
"""

import functools
import itertools
import os
import pickle
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cnnlab.training.workers import THREADS

ROOT = Path(__file__).resolve().parents[1]
_PROCESSES: dict[int, subprocess.Popen] = {}  # on a worker, by its thread
SECONDS_TO_CONNECT = 5


class ClusterError(RuntimeError):
    """The cluster cannot be used as it is; the message says in one sentence what to do."""


def results(scheduler: str, calls: dict[str, Callable[[], Any]]) -> Iterator[Any]:
    """Yield the result of each call once, as they finish; what a dead worker was doing is redone.

    Args:
        scheduler: its address, such as "tcp://10.0.0.5:8786".
        calls: by a name for each; functions and what they are called with are pickled by
            reference, so the workers must be able to import them.

    Raises:
        ClusterError: distributed is not installed, the scheduler does not answer or is lost, a
            worker lacks what a call needs.
        RuntimeError: a call raised one, its process died, or its workers died again and again.
    """  # noqa: DOC501 (_failure returns one of these)
    distributed = _distributed()
    with _client(distributed, scheduler) as client:
        done = distributed.as_completed([], loop=client.loop)
        waiting, names = iter(calls.items()), {}
        _submit(client, scheduler, waiting, names, done)
        for future in done:
            name = names.pop(future)
            try:
                result = future.result()
            except Exception as error:
                raise _failure(distributed, scheduler, name, error) from error.__cause__
            future.release()  # or it would be computed again if the worker that did it died
            yield result
            _submit(client, scheduler, waiting, names, done)


def _submit(client, scheduler: str, waiting: Iterator, names: dict, done) -> None:
    """Send as many calls as there are workers for, so that none waits behind another on one."""
    try:
        threads = sum(client.nthreads().values())
    except Exception as error:
        raise _lost(scheduler) from error
    free = max(1, threads) - len(names)
    for name, call in itertools.islice(waiting, max(0, free)):
        sent = pickle.dumps(functools.partial(_in_process, name, pickle.dumps(call)))
        future = client.submit(_by_value(), sent, pure=False)
        names[future] = name
        done.add(future)


def _distributed():
    try:
        import distributed
    except ImportError:
        raise ClusterError(
            "--backend dask needs the package distributed: "
            "pip install -r requirements-test.txt -c constraints.txt"
        ) from None
    return distributed


def _client(distributed, scheduler: str):
    try:
        client = distributed.Client(scheduler, timeout=SECONDS_TO_CONNECT, set_as_default=False)
    except (OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise ClusterError(f"no Dask scheduler answers at {scheduler} ({reason})") from None
    if not client.nthreads():
        print(f"no worker has joined the scheduler at {scheduler} yet: waiting for one", flush=True)
    return client


def _by_value() -> Callable[[bytes], Any]:
    """Return what unpacks a call and does it.

    A nested function is sent as code, and the call as bytes: the scheduler opens what it passes on,
    and it need not have the repository.
    """

    def unpack_and_do(call: bytes):
        import pickle

        return pickle.loads(call)()

    return unpack_and_do


def _in_process(name: str, call: bytes) -> Any:
    """Do a call in the process that belongs to this thread of a worker."""
    process = _PROCESSES.get(threading.get_ident())
    if process is None or process.poll() is not None:
        process = _PROCESSES[threading.get_ident()] = _start()
    process.stdin.write(call.hex() + "\n")
    process.stdin.flush()
    answer = process.stdout.readline()
    if not answer:
        raise RuntimeError(f"the run {name} failed: its process ended ({process.wait()})")
    result, error = pickle.loads(bytes.fromhex(answer))
    if error is not None:
        raise error
    return result


def _start() -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", "from tools import cluster; cluster.serve()"],
        cwd=ROOT,
        env=dict.fromkeys(THREADS, "1") | os.environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def serve() -> None:
    """Do each call that comes on standard input, and end at once with the worker that sends it."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what runs print belongs into the worker's log
    calls: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_listen, args=[calls], daemon=True).start()
    while True:
        answers.write(_answer(calls.get()) + "\n")
        answers.flush()


def _listen(calls: queue.Queue) -> None:
    for line in sys.stdin:
        calls.put(line)
    os._exit(1)


def _answer(call: str) -> str:
    try:
        answer = pickle.loads(bytes.fromhex(call))(), None
    except Exception as error:
        answer = None, error
    return pickle.dumps(answer).hex()


def _failure(distributed, scheduler: str, name: str, error: Exception) -> RuntimeError:
    """Say what went wrong; whatever a call itself raises is a RuntimeError already."""
    if isinstance(error, RuntimeError):
        return error
    if isinstance(error, distributed.KilledWorker):
        deaths = error.allowed_failures + 1
        return RuntimeError(f"the run {name} failed: workers that died while they had it: {deaths}")
    if isinstance(error, distributed.CancelledError | distributed.comm.CommClosedError):
        return _lost(scheduler)
    return ClusterError(
        f"a worker cannot do {name} with what it has ({error!r}): start all workers anew, in the "
        "folder of the same commit"
    )


def _lost(scheduler: str) -> ClusterError:
    return ClusterError(
        f"the scheduler at {scheduler} is lost: what was stored stays, and the same command goes "
        "on from there"
    )
