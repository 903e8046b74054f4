"""Three hundred OSPF routers on one machine of 24 GB, until every route is learned: how long, and how much memory.

`ospf100.py` with another size; once, because it takes minutes.

    benchmarks/ospf300.py [ROUTERS] [ROUNDS]
"""

import sys

from _common import judged
from ospf100 import main

WANTED_GB = 24.0


if __name__ == "__main__":
    less = main(*map(int, sys.argv[1:] or ("300", "1")))
    print(f"  of memory {less / 1e9:.1f} GB, {judged(less / 1e9, WANTED_GB, 'GB')}")
