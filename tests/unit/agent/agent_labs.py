"""Small labs for the agent's tests."""

from labctl.model.lab import CableSpec, End, LabSpec, NodeKind, NodeSpec
from labctl.names import PortId


def end(port: str, number: int) -> End:
    return End(port=PortId.parse(port), mac=f"02:00:00:00:00:{number:02x}")


def lab(*cables: tuple[str, str | None], bridges: tuple[str, ...] = (), name: str = "t") -> LabSpec:
    """A lab of the nodes that the cables name; a far end None is a stub."""
    names = sorted({port.partition(":")[0] for pair in cables for port in pair if port})
    nodes = tuple(
        NodeSpec(name=each, kind=NodeKind.BRIDGE if each in bridges else NodeKind.LINUX) for each in names
    )
    specs = tuple(
        CableSpec(a=end(a, 2 * i), z=None if z is None else end(z, 2 * i + 1))
        for i, (a, z) in enumerate(cables)
    )
    return LabSpec(name=name, nodes=nodes, cables=specs)
