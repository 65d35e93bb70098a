"""The most memory of a process and its children, as it is sampled."""

import subprocess
import sys
import time

from tools.memory import PeakMemory

CHILD = "block = b'1' * (200 * 2**20); print('there', flush=True); input()"


def test_memory_of_children_counts_and_still_does_when_it_is_given_back():
    with PeakMemory(seconds_between=0.01) as before:
        pass
    with PeakMemory(seconds_between=0.01) as memory:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        child = subprocess.Popen([sys.executable, "-c", CHILD], **pipes)
        child.stdout.readline()
        for _ in range(1000):  # until it was looked at
            if memory.mebibytes > before.mebibytes + 200:
                break
            time.sleep(0.01)
        child.communicate(b"\n")
        for _ in range(20):
            subprocess.run(["true"], check=True)  # one that ends meanwhile is not an error
    assert 200 < memory.mebibytes - before.mebibytes < 300
