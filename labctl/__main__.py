"""The program `labctl`, also as `python -m labctl`. Here only because loading takes time in which somebody may press Ctrl-C."""

import sys


def command() -> None:
    """`labctl.cli.main.command`; who interrupts while it is loaded gets the exit status of an interrupt, and no traceback."""
    try:
        from labctl.cli.main import command as loaded
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)  # labctl.errors.Exit.INTERRUPTED; nothing more is loaded now
    loaded()


if __name__ == "__main__":
    command()
