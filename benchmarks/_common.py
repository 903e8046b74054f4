"""What all benchmarks say and keep to: the load beside every figure, bars in the same words, and a polite end."""

import os
import signal


def begin(what):
    """Print what is measured and how busy the machine is; SIGTERM ends the benchmark as Ctrl-C does, so all goes."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    print(f"{what}; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs", flush=True)


def judged(found, wanted, unit="s", *, least=False):
    """`wanted 12 s: met`; least: the bar is to be reached, else not to be passed."""
    good = found >= wanted if least else found <= wanted
    return f"wanted {'at least ' if least else ''}{wanted:g} {unit}: {'met' if good else 'MISSED'}"
