import os
import subprocess
import sys
import threading

import pytest

from labctl.linux import priority

FIRST = "import os; from labctl.linux import priority; priority.first(); "
SAY = "print(os.getpriority(os.PRIO_PROCESS, 0), flush=True)"


def nice():
    return os.getpriority(os.PRIO_PROCESS, 0)


@pytest.fixture(autouse=True)
def _root():
    if os.geteuid():
        pytest.skip("needs root: raises a priority")


def test_a_block_goes_first_with_its_threads_and_ends():
    before, seen = nice(), []
    with priority.raised():
        thread = threading.Thread(target=lambda: seen.append(nice()))
        thread.start()
        thread.join()
        seen.append(nice())
    assert seen == [priority.NICE, priority.NICE]
    assert nice() == before


def test_what_is_started_by_one_that_goes_first_is_as_usual():
    code = f"{FIRST}{SAY}; pid = os.fork(); pid or {SAY}; pid and os.waitpid(pid, 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(priority.NICE), "0"]
