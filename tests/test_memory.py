"""The most memory of a process and its children, as it is sampled."""

import subprocess
import sys
import time

import numpy as np

from tools.memory import PeakMemory


def test_memory_that_is_given_back_still_counts():
    with PeakMemory(seconds_between=0.02) as before:
        time.sleep(0.1)
    with PeakMemory(seconds_between=0.02) as memory:
        block = np.ones(25_000_000)  # 191 MiB
        time.sleep(0.2)
        del block
    assert 150 < memory.mebibytes - before.mebibytes < 300


def test_children_count():
    code = "block = bytearray(200 * 2**20); block[::4096] = b'1' * len(block[::4096]); input()"
    with PeakMemory(seconds_between=0.05) as before:
        time.sleep(0.1)
    with PeakMemory(seconds_between=0.05) as memory:
        child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
        time.sleep(1.5)
        child.communicate(b"\n")
    assert 150 < memory.mebibytes - before.mebibytes < 400


def test_a_child_that_ends_meanwhile_is_no_error():
    with PeakMemory(seconds_between=0.001) as memory:
        for _ in range(20):
            subprocess.run(["true"], check=True)
    assert memory.mebibytes > 10
