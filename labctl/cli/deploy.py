"""`labctl deploy FILE`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from labctl.cli import complete, out
from labctl.errors import Exit
from labctl.model.event import Event

if TYPE_CHECKING:
    from labctl.runtime.store import Instance, LabDir


def register(app: typer.Typer) -> None:
    app.command(name="deploy")(deploy)


def deploy(
    file: str = typer.Argument(
        ..., help="A containerlab topology file (*.clab.yml).", autocompletion=complete.lab_files
    ),
    runtime: str = typer.Option(
        "auto", "--runtime", "-r", help="auto, docker or runc; auto says which it took and why."
    ),
    image: list[str] = typer.Option(
        [], "--image", help="A=B runs image B where the file says A; repeatable."
    ),
    name: str | None = typer.Option(None, "--name", "-n", help="A name for the lab instead of the file's."),
    lenient: bool = typer.Option(False, "--lenient", help="Accept keys of older containerlab versions."),
    template_vars: list[str] = out.VARS,
    labdir: bool = typer.Option(
        False,
        "--labdir",
        help="Write containerlab's `clab-<lab>/` beside the file (or below $CLAB_LABDIR_BASE): "
        "topology-data.json and the inventories for Ansible and Nornir; `destroy` removes them.",
    ),
    hosts_file: str | None = typer.Option(
        None,
        "--hosts-file",
        metavar="FILE",
        help="Add the nodes' names to this file (/etc/hosts); `destroy` removes them.",
    ),
    wait: bool = typer.Option(
        False, "--wait", "-w", help="Return when routing has settled; exit 4 if it has not."
    ),
    timeout: str = typer.Option("120s", "--timeout", help="How long to wait for that."),
    dry_run: bool = out.DRY_RUN,
    output: out.Format = out.FORMAT,
) -> None:
    """Build the lab of a file: all of it, or nothing."""
    from labctl import names, units
    from labctl.app import deploy as app
    from labctl.cli.inspect import show
    from labctl.run.outputs import Outputs
    from labctl.runtime.store import Instance

    with out.reading("--timeout"):
        patience = units.duration(timeout)
    if name is not None:
        with out.reading("--name"):
            names.check_lab(name)
    instance = Instance.here()
    request = app.Request(
        file=file,
        runtime=runtime,
        images=dict(out.image_pair(each, "A=B") for each in image),
        name=name,
        lenient=lenient,
        variables=tuple(template_vars),
        dry_run=dry_run,
        outputs=Outputs(directory=labdir, hosts_file=hosts_file),
    )
    with _Watched() as progress:
        try:
            plan = app.deploy(request, instance, progress)
            if dry_run:
                _show_plan(plan, output)
                return
            place = instance.lab(plan.lab.name)
            show([place], output)
            if wait:
                _wait(place, patience)
        except KeyboardInterrupt:
            _tell_whole(instance, progress.deployed)
            raise


class _Watched(out.Progress):
    """It keeps the name of the lab that was deployed."""

    deployed: str | None = None

    def __call__(self, event: Event) -> None:
        if event.kind == "deployed":
            self.deployed = event.subject
        super().__call__(event)


def _tell_whole(instance: Instance, lab: str | None) -> None:
    """An interruption undoes a deploy only while it is one; a lab that was complete stays, and that is said."""
    from labctl.runtime.store import Phase

    record = None if lab is None else instance.lab(lab).read()
    if record is not None and record.phase is Phase.RUNNING:
        out.say(
            f"lab {lab} is running: it was complete before the interruption; `labctl destroy {lab}` removes it"
        )


def _wait(place: LabDir, timeout_s: float) -> None:
    from labctl.app import ready

    with out.Progress() as progress:
        seen = ready.wait(place, timeout_s=timeout_s, emit=progress)
    for line in ready.told(seen):
        out.say(line)
    if not seen.settled:
        raise typer.Exit(Exit.UNKNOWN)


def _show_plan(plan: object, output: out.Format) -> None:
    from labctl.app.deploy import Plan

    assert isinstance(plan, Plan)
    lab = plan.lab
    if output is out.Format.JSON:
        out.print_json(
            {
                "version": 1,
                "lab": lab.name,
                "runtime": plan.runtime,
                "nodes": [
                    {
                        "name": n.name,
                        "kind": n.kind.value,
                        "image": n.image,
                        "ipv4_address": n.mgmt_ipv4,
                        "ipv6_address": n.mgmt_ipv6,
                    }
                    for n in lab.nodes
                ],
                "cables": [{"name": str(c.id), "mtu": c.mtu} for c in lab.cables],
            }
        )
        return
    rows = [(n.name, n.kind.value, n.image, n.mgmt_ipv4, n.mgmt_ipv6) for n in lab.nodes]
    out.print_table(("NODE", "KIND", "IMAGE", "IPV4", "IPV6"), rows)
    out.say(
        f"Would deploy lab {lab.name} on {plan.runtime}: {len(lab.nodes)} nodes, {len(lab.cables)} cables. "
        "Nothing was changed."
    )
