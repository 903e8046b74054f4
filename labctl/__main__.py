"""`python -m labctl` is `labctl`."""

from labctl.cli.main import run

if __name__ == "__main__":
    run()
