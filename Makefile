# Two commands matter: `make demo` and `make test`. Both do all the set-up a fresh Debian machine needs.
