"""Calls on the machines of a Ray cluster, each result passed on as soon as it is there.

Ray takes the files of this repository that git does not ignore to every machine, so that all runs
have the study's own code and budget. Each call has a process of its own, and is done again when
that process or its machine dies.
"""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cnnlab import runtime

ROOT = Path(__file__).resolve().parents[1]
RETRIES = 3  # of a call whose process or machine died
SECONDS_TO_CONNECT = 5
# Ray asks for the cluster's token only when it is told so, and reads both when it is imported.
SETTINGS = {"RAY_AUTH_MODE": "token", "RAY_NUM_REDIS_GET_RETRIES": "5"}


class ClusterError(RuntimeError):
    """The cluster cannot be used as it is; the message says in one sentence why."""


def results(address: str, calls: dict[str, Callable[[], Any]]) -> Iterator[Any]:
    """Yield the result of each call once, as they finish.

    Args:
        address: HOST:PORT of the cluster's head; this machine must belong to the cluster.
        calls: by name; functions are imported from the repository's copy on each machine.

    Raises:
        ClusterError: Ray is not installed, there is no cluster at the address or it does not take
            this user's token, the cluster is lost, or a machine of it lacks packages.
        RuntimeError: a call raised one, or its process died again and again.
    """
    ray = _connect(address)
    try:
        do = ray.remote(num_cpus=1, max_calls=1, max_retries=RETRIES)(_do)
        waiting = {do.remote(call): name for name, call in calls.items()}
        while waiting:
            (done,), _ = ray.wait(list(waiting))
            name = waiting.pop(done)
            try:
                yield ray.get(done)
            except ray.exceptions.RayError as error:
                failure = _failure(ray.exceptions, address, name, error)
                raise failure from error
    finally:
        ray.shutdown()  # and what other processes are still doing is given up


def _do(call: Callable[[], Any]) -> Any:
    return call()


def _connect(address: str):
    os.environ.update(SETTINGS | os.environ)
    try:
        import ray
    except ImportError:
        install = "pip install -r requirements-cluster.txt -c constraints.txt"
        raise ClusterError(f"--backend ray needs the package ray: {install}") from None
    host, _, port = address.rpartition(":")
    files = {"working_dir": str(ROOT), "env_vars": {"CNNLAB_BUDGET": runtime.budget()}}
    try:
        # Ray itself would try for minutes.
        socket.create_connection((host, int(port)), SECONDS_TO_CONNECT).close()
        ray.init(address, runtime_env=files, log_to_driver=False, logging_level="ERROR")
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        where = f"at {address} ({str(error).splitlines()[0]})"
        raise ClusterError(f"no Ray cluster that takes the token of this user is {where}") from None
    return ray


def _failure(kinds, address: str, name: str, error: Exception) -> Exception:
    """Say what went wrong; whatever a call itself raises is a RuntimeError already."""
    if isinstance(error, kinds.RayTaskError) and isinstance(error.cause, RuntimeError):
        return error.cause
    if isinstance(error, kinds.WorkerCrashedError | kinds.NodeDiedError | kinds.OutOfMemoryError):
        return RuntimeError(f"the run {name} failed: its process died {RETRIES + 1} times")
    if isinstance(error, kinds.LocalRayletDiedError):
        after = "what was stored stays, and the same command goes on from there"
        return ClusterError(f"the cluster at {address} is lost: {after}")
    cannot = f"a machine of the cluster cannot do {name} ({str(error).strip().splitlines()[-1]})"
    return ClusterError(f"{cannot}: install requirements.txt there")
