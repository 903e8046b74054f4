from labctl.app.ready import told
from labctl.model.routes import Adjacency, Convergence


def test_what_is_stuck_is_listed_and_what_did_not_settle_is_said():
    seen = Convergence(
        phase="start",
        settled=False,
        start=10.0,
        took_s=119.0,
        waited_s=120.0,
        quiet_s=10.0,
        up=1,
        stuck=(Adjacency(kind="ospf", node="r1", peer="10.0.0.2", interface="eth1", state="ExStart/DR"),),
        silent=("r2: bgpd",),
    )
    assert list(told(seen)) == [
        "routing has not settled after 2 min 0 s: 1 adjacency up",
        "not up: ospf r1 to 10.0.0.2 on eth1: ExStart/DR",
        "does not answer: r2: bgpd",
    ]
