"""What is Docker's own: its containers as others see them, and what happens when the engine or somebody else interferes."""

import pathlib

from labctl.errors import render
from labctl.runtime import docker_engine

ERRORS = pathlib.Path(__file__).parents[1] / "errors"


def test_the_text_of_a_refusal():
    said = docker_engine.refused(
        "create the container", docker_engine.said((ERRORS / "engine-refused.json").read_bytes())
    )
    assert render(said) + "\n" == (ERRORS / "engine-refused.txt").read_text()
