"""labctl: a shadow of a production network, broken on purpose, so that production need not be.

Data flows one way: claims -> Topology -> LabSpec -> lab; Scenario -> effects -> settle -> machine; journal -> Report.
docs/architecture.md draws the layers; `labctl.app` holds one function per verb, for programs as for the command line.
"""

__version__ = "0.1.0"
