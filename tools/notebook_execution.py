"""Execute a notebook so that two runs on one machine give the same file, and show the progress."""

import atexit
import os
import re
import socket
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError

# The kernel would add its Python's patch version, which says nothing about the notebook.
LANGUAGE = {
    "file_extension": ".py",
    "mimetype": "text/x-python",
    "name": "python",
    "pygments_lexer": "ipython3",
}


class NotebookError(Exception):
    """A notebook that could not be executed or brought up to date; the message says where."""


def execute(notebook, folder: Path, variables: dict[str, str]) -> None:
    """Execute a notebook's cells in the task's folder, in place, and print where it is.

    The variables are added to the environment.

    Raises:
        NotebookError: a cell failed, or the kernel died or did not start.
        OSError: a file, or the progress, could not be written.
    """
    _require_loopback()
    progress = Progress(notebook, folder.name)
    client = Client(
        progress,
        notebook,
        timeout=None,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        on_cell_start=progress.cell,
        record_timing=False,  # times would differ at each run
        store_widget_state=False,
        coalesce_streams=True,
        extra_arguments=["--log-level=ERROR"],
    )
    environment = {name: os.environ[name] for name in os.environ if name != "MPLBACKEND"}
    environment["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"  # silences a debugger nobody uses here
    try:
        client.execute(env=environment | variables)
    except (CellExecutionError, DeadKernelError) as error:
        reason = "its Python process died"
        if isinstance(error, CellExecutionError):
            print(re.sub(r"\x1b\[[0-9;]*m", "", error.traceback), file=sys.stderr)
            reason = f"{error.ename}: {error.evalue}"
        raise NotebookError(f"{progress.position} failed: {reason}") from None
    except OSError:
        atexit.unregister(client._cleanup_kernel)  # without a kernel it fails, on many lines
        raise
    except RuntimeError as error:
        atexit.unregister(client._cleanup_kernel)
        raise NotebookError(f"{folder.name}: its Python process did not start: {error}") from None
    notebook.metadata["language_info"] = nbformat.from_dict(LANGUAGE)
    progress.say("done")


def _require_loopback() -> None:
    """A kernel is spoken to through the loopback interface; nbclient would wait for a minute."""
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            socket.create_connection(server.getsockname(), timeout=10).close()
    except OSError as error:
        needed = "notebooks need the loopback interface, but 127.0.0.1 cannot be reached"
        raise NotebookError(f"{needed}: {error}") from None


class Client(NotebookClient):
    """A client that shows the epochs of a training as they come."""

    def __init__(self, progress: "Progress", *args, **options) -> None:
        super().__init__(*args, **options)
        self.shown = progress

    def process_message(self, msg, cell, cell_index):
        """Called for each message of the kernel."""
        if msg["msg_type"] == "stream":
            for line in msg["content"]["text"].splitlines():
                if line.startswith("epoch"):
                    self.shown.say(line)
        return super().process_message(msg, cell, cell_index)


class Progress:
    """Print a line for each heading of a notebook that is reached.

    Attributes:
        position: the cell that is being executed, for messages.
    """

    def __init__(self, notebook, task: str) -> None:
        self.cells, self.task, self.position = len(notebook.cells), task, task
        self.heading, self.begin = "", time.monotonic()

    def cell(self, cell, cell_index: int) -> None:
        """Called by nbclient before each cell."""
        self.position = f"{self.task}/{self.task}.py: cell {cell_index + 1}"
        if cell.cell_type != "code":
            if heading := re.search(r"^#+ +(.+)", cell.source, re.MULTILINE):
                self.heading = heading[1]
        elif self.heading:
            self.say(f"cell {cell_index + 1:2} of {self.cells}  {self.heading}")
            self.heading = ""

    def say(self, text: str) -> None:
        """Print a line: the task, the seconds since the beginning, the text."""
        print(f"{self.task}  {time.monotonic() - self.begin:5.0f} s  {text}", flush=True)
