"""How true a shadow is: networks of the corpus, deployed with FRR, against what their real devices had printed.

    tools/fidelity.py [LAB…] [--markdown] [--details] [--keep DIR]

For each network: discover its configurations, render, deploy, wait until routing has settled (which counts the longest
advertisement interval in), compare, destroy. LABCTL_CORPUS says where the networks are; nothing of them is copied.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from labctl.app import deploy, ready, recorded, render
from labctl.app.destroy import destroy
from labctl.errors import LabctlError
from labctl.model.routes import RouteComparison, RouteTables
from labctl.run import observe
from labctl.runtime.store import Instance, LabDir
from labctl.schema import files

LABS = (
    "ios_example_network",
    "ospf_lab_validation",
    "ospf_summarization",
    "ios_ibgp_split_horizon",
    "ios_basic_vrrp",
    "iosxe_redistribution",
    "iosxe_undefined_route_map",
    "cumulusfrr_bgp_community",
    "cumulusfrr_ospf_area_range",
    "eos_ospf_bgp",
    "eos_ibgp_local_preference",
    "eos_undefined_route_map",
)
WAIT_S = 240.0
HEADER = (
    "network",
    "nodes",
    "routes equal",
    "own addresses",
    "sessions",
    "stuck alike",
    "differences by rule",
)


def corpus() -> Path:
    return Path(os.environ.get("LABCTL_CORPUS", "../shared/corpus")) / "lab-validation"


def measure(path: Path, place: str, name: str, keep: str = "") -> RouteComparison:
    """One network, from its configurations to the comparison; the lab is gone afterwards."""
    production = recorded.read(str(path))
    request = render.Request(file=os.path.join(place, "topology.yml"), out=place, name=name, force=True)
    rendered = render.render_snapshot(production.snapshot, request)
    here = Instance.here()
    deploy.deploy(deploy.Request(file=rendered.file), here)
    lab = here.lab(name)
    try:
        tables = settled(lab)
    finally:
        destroy([lab])
    if keep:
        Path(keep, f"{path.name}.routes.yml").write_text(files.dump(tables), encoding="utf-8")
    return recorded.compare(production, tables)


def settled(lab: LabDir) -> RouteTables:
    """The tables, once routing has settled; a network that has not is no measurement."""
    seen = ready.wait(lab, timeout_s=WAIT_S)
    if not seen.settled:
        raise SystemExit(f"{lab.name}: routing has not settled in {WAIT_S:.0f} s")
    return observe.tables(lab)


def row(name: str, told: RouteComparison) -> tuple[str, ...]:
    rules = Counter(d.rule for d in (*told.differences, *told.session_differences))
    return (
        name,
        str(told.nodes),
        _of(told.equal, told.compared),
        _of(told.own_equal, told.own_compared),
        _of(told.sessions_equal, told.sessions_compared),
        str(len(told.stuck_alike)),
        ", ".join(f"{rule} {count}" for rule, count in rules.most_common()) or "none",
    )


def _of(equal: int, compared: int) -> str:
    return f"{equal} of {compared} ({equal / compared:.1%})" if compared else "none recorded"


def details(told: RouteComparison) -> Iterator[str]:
    for d in told.differences:
        yield f"  {d.node} {d.prefix} {d.kind}: {d.production or '-'} | {d.shadow or '-'} | {d.rule}: {d.reason}"
    for s in told.session_differences:
        yield f"  {s.node} {s.kind} {s.peer}: {s.production} | {s.shadow} | {s.rule}: {s.reason}"


def main() -> int:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("lab", nargs="*", default=LABS)
    options.add_argument("--markdown", action="store_true")
    options.add_argument("--details", action="store_true")
    options.add_argument(
        "--keep", default="", help="a directory for the shadow's routes, for `labctl compare`"
    )
    asked = options.parse_args()
    failed = 0
    mark = " | " if asked.markdown else "  "
    print(mark.join(HEADER).strip(), flush=True)
    if asked.markdown:
        print("|".join("---" for _ in HEADER))
    for lab in asked.lab:
        with tempfile.TemporaryDirectory(prefix="labctl-fidelity-") as place:
            try:
                told = measure(corpus() / lab, place, lab.replace("_", "-"), asked.keep)
            except LabctlError as error:
                failed += 1
                print(f"{lab}: {error}", file=sys.stderr, flush=True)
                continue
        print(mark.join(row(lab, told)), flush=True)
        if asked.details:
            print("\n".join(details(told)), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
