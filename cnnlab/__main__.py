"""The command line, `cnnlab` or `python -m cnnlab`; each subcommand is in a module of its own."""

import sys

STOPPED = 130  # the exit code of a program that Ctrl-C has ended

try:
    import argparse
    from pathlib import Path

    from cnnlab.command_line import console, explain, explorer, lines
    from cnnlab.command_line.options import sentence
except KeyboardInterrupt:
    sys.exit(STOPPED)


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        """Say what is wrong in one sentence; argparse would print the usage before it."""
        self.exit(2, f"{self.prog}: error: {message}\n")


def main(arguments=None):
    """Run one subcommand; return 0, 2 after one sentence on stderr, or 130 after Ctrl-C."""
    console.use_utf8()
    installed = Path(sys.argv[0]).stem == "cnnlab"  # the command that `pip install .` makes
    parser = _Parser(
        prog="cnnlab" if installed else "python -m cnnlab",
        description="The datasets and pictures of the three tasks.",
    )
    subcommands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in (lines, explain, explorer):
        command.add(subcommands)
    options = parser.parse_args(arguments)
    try:
        options.run(options)
        console.flush()
    except (ValueError, OSError, MemoryError) as error:
        print(f"{options.parser.prog}: error: {sentence(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return STOPPED
    return 0


if __name__ == "__main__":
    sys.exit(main())
