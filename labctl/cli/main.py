"""The command line. Parses, calls one function of `labctl.app`, prints; decides nothing else.

Each verb lives in its own module with a `register(app)`; modules import typer and the standard library at the top and
everything else inside the verb, so `labctl --help` needs neither networkx nor pydantic. A command line that names its verb
first loads only that verb's module. Errors are printed here, once, and become the exit status (labctl.errors.Exit). A verb
that is not built yet is absent.
"""

from __future__ import annotations

import gc
import importlib
import os
import select
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

import typer

from labctl import __version__
from labctl.cli.system import refused
from labctl.cli.variables import Verbs
from labctl.errors import Exit, LabctlError, render

#: The variable by which a completion script asks (`labctl.cli.complete`).
COMPLETE = "_LABCTL_COMPLETE"
#: So many more objects are made than freed before the youngest are looked through (Python's own: 700).
_GARBAGE = 50_000
#: In the order of `labctl --help`.
VERBS: tuple[str, ...] = (
    "discover",
    "graph",
    "render",
    "compare",
    "deploy",
    "apply",
    "inspect",
    "exec",
    "logs",
    "events",
    "capture",
    "destroy",
    "fault",
    "heal",
    "run",
    "campaign",
    "report",
    "validate",
    "demo",
    "doctor",
    "schema",
    "completion",
)


class _ReaderLeftError(Exception):
    """Whoever read our output has seen enough."""


class _InOrder(Verbs):
    order = VERBS

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # typer would end with 1, which is a verdict of ours
            if not _reader_gone():
                raise
            raise _ReaderLeftError from None


def _reader_gone() -> bool:
    """Is it our output that broke, and not a connection to somebody else?"""
    look = select.poll()
    look.register(1, 0)
    return any(events & select.POLLERR for _, events in look.poll(0))


def program(verbs: Iterable[str] = VERBS) -> typer.Typer:
    """The command line with these verbs."""
    app = typer.Typer(
        name="labctl",
        cls=_InOrder,
        help="Build a shadow of a production network in containers and break it on purpose.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        add_completion=False,  # `labctl completion` does it
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(main)
    for verb in verbs:
        importlib.import_module(f"labctl.cli.{verb}").register(app)
    return app


def needed(argv: Sequence[str]) -> Sequence[str]:
    """The verbs that a command line may ask for: one, if that is its first word."""
    return argv[:1] if argv and argv[0] in VERBS and COMPLETE not in os.environ else VERBS


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"labctl {__version__}")
        raise typer.Exit


def main(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """Build a shadow of a production network in containers and break it on purpose."""


def command() -> None:
    """The program `labctl`: what was to be done is done or undone at its end, and its exit status says which."""
    try:
        try:
            run()
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
    except KeyboardInterrupt as late:  # it came when all was over and the exit status was on its way
        over = late.__context__
        sys.exit(over.code if isinstance(over, SystemExit) else Exit.INTERRUPTED)


def run(argv: list[str] | None = None) -> None:
    """The program with labctl's error texts and exit statuses."""
    _take_places()
    # What is imported and read stays: to look through it for garbage again and again is a twentieth of a short command.
    gc.set_threshold(_GARBAGE)
    if COMPLETE in os.environ:  # a shell asks, at every Tab
        from typer._completion_classes import completion_init

        completion_init()
    # Ended politely is ended as by Ctrl-C: what was begun is removed again.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app = program(needed(sys.argv[1:] if argv is None else argv))
        app(args=argv, prog_name="labctl", standalone_mode=True)
    except LabctlError as error:
        print(render(error), file=sys.stderr)
        sys.exit(error.exit)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(Exit.INTERRUPTED)
    except _ReaderLeftError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(Exit.PASS)
    except OSError as error:
        known = refused(error)
        if known is None:
            _bug()
        if known.code == "cannot-write":  # what is still to be printed is not tried again at the end
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        print(render(known), file=sys.stderr)
        sys.exit(known.exit)
    except Exception:  # noqa: BLE001  (the last line of defence: saved, named, exit 70)
        _bug()


def _take_places() -> None:
    """Where a standard stream is closed, nothing else gets its number: what helpers print would go into a file of ours."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free


def _bug() -> NoReturn:
    """Save the traceback of what is being handled, name the file, exit 70."""
    try:
        with tempfile.NamedTemporaryFile("w", prefix="labctl-bug-", suffix=".txt", delete=False) as file:
            traceback.print_exc(file=file)
    except OSError:  # nowhere to save it
        traceback.print_exc()
        saved = "above"
    else:
        saved = f"in {file.name}"
    print(
        f"error: bug\n  labctl failed; the traceback is {saved}\nhint: please report it with that file",
        file=sys.stderr,
    )
    sys.exit(Exit.BUG)
