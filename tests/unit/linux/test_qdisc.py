"""What a queueing discipline is asked for has to fit into what the kernel is told."""

import errno

import pytest

from labctl.linux import qdisc


@pytest.mark.parametrize(
    "options",
    [
        qdisc.Tbf(bps=1e6, burst_bytes=1514, limit_bytes=2**32),
        qdisc.Netem(delay_s=1e30),
        qdisc.Netem(limit=2**32),
    ],
)
def test_a_number_without_room_is_an_error_of_the_device(options):
    """An OSError is a fault that did not take; anything else would end who asks for it."""
    with pytest.raises(OSError, match="limit") as caught:
        qdisc.set_root(None, 1, options)  # the kernel is never asked
    assert caught.value.errno == errno.ERANGE
