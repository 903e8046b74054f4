"""Topology to lab: FRR configurations, the allocation table, containerlab files. Pure text out."""
