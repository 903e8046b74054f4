import os
import subprocess
import sys

import pytest

from labctl.linux import priority

NICE = [sys.executable, "-c", "import os; print(os.getpriority(os.PRIO_PROCESS, 0))"]


def test_a_raised_thread_goes_first_and_its_children_do_not():
    if os.geteuid():
        pytest.skip("needs root: raises a priority")
    before = os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0)
    with priority.raised():
        assert os.getpriority(os.PRIO_PROCESS, 0) == priority.NICE
        assert subprocess.run(NICE, capture_output=True, text=True, check=True).stdout == "0\n"
    assert (os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0)) == before
