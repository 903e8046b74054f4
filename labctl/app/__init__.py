"""One function per verb: request -> result, no printing."""
