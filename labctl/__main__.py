"""`python -m labctl` is `labctl`."""

from labctl.cli.main import command

if __name__ == "__main__":
    command()
