"""One process per lab and host: mirrors admin state, owns leases, puts back what a crash left."""
