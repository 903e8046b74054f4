"""`make soak` resumes where it stopped: what passed, with this seed on this commit, is not run again until all has.

One line a test in `.cache/soak-<commit>-<seed>`, written the moment it has passed. A run that ends with everything
passed removes the file, so the next one starts over.
"""

import os
import subprocess

#: Lines for the end of the run: what a suite counted. (Output of a test that passes is not shown.)
FIGURES = []
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


class Resume:
    """A pytest plugin."""

    def __init__(self, seed):
        self._file = os.path.join(ROOT, ".cache", f"soak-{commit()}-{seed}")
        self._before = set(lines(self._file))

    def pytest_collection_modifyitems(self, config, items):
        done = [item for item in items if item.nodeid in self._before]
        if done:
            config.hook.pytest_deselected(items=done)
            items[:] = [item for item in items if item.nodeid not in self._before]

    def pytest_report_collectionfinish(self):
        if self._before:
            return f"labctl: resuming; {len(self._before)} soak tests passed before ({os.path.relpath(self._file, ROOT)})"
        return None

    def pytest_runtest_logreport(self, report):
        if report.when == "call" and report.passed and "soak" in report.keywords:
            os.makedirs(os.path.dirname(self._file), exist_ok=True)
            with open(self._file, "a") as file:
                file.write(report.nodeid + "\n")

    def pytest_sessionfinish(self, exitstatus):
        if exitstatus in (0, 5) and os.path.exists(self._file):  # 5: nothing was left to run
            os.unlink(self._file)


def commit():
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "none"


def lines(path):
    try:
        with open(path) as file:
            return file.read().split("\n")[:-1]
    except FileNotFoundError:
        return []
