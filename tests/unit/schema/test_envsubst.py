"""containerlab's variable expansion: what it replaces, what it leaves, what it refuses."""

import pytest

from labctl.errors import LabctlError, Span
from labctl.schema.envsubst import expand

ENV = {"BAR": "bar", "FOO": "foo", "EMPTY": ""}


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("", ""),
        ("$BAR baz", "bar baz"),
        ("$BAR$FOO", "barfoo"),
        ("${BAR}baz", "barbaz"),
        ("$NOTSET ${NOTSET} ${EMPTY} $EMPTY", "$NOTSET ${NOTSET} ${EMPTY} $EMPTY"),
        ("P4s$w0rd!", "P4s$w0rd!"),
        ("$_ ${_}", "$_ ${_}"),
        ("$1 ${2} $1ABC $? $(id -u) $((1+1))", "$1 ${2} $1ABC $? $(id -u) $((1+1))"),
        ("${NOTSET-x} ${NOTSET=x} ${NOTSET:-x} ${NOTSET:=x}", "x x x x"),
        ("[${EMPTY-x}] [${EMPTY=x}] [${EMPTY:-x}] [${EMPTY:=x}]", "[] [] [x] [x]"),
        ("${BAR-x} ${BAR=x} ${BAR:-x} ${BAR:=x}", "bar bar bar bar"),
        ("${BAR+x} ${EMPTY+x} ${EMPTY:+x} [${NOTSET+x}] [${NOTSET:+x}]", "x x x [] []"),
        ("${NOTSET:-$BAR} ${NOTSET:-a${FOO}b} ${NOTSET-}.", "bar afoob ."),
        ("${URL-http://localhost:8080}", "http://localhost:8080"),
        ("FOO $$BAR $${BAR} $$$BAR", "FOO $BAR ${BAR} $bar"),
        ("cost: 5$ and $", "cost: 5$ and $"),
    ],
)
def test_expansion(text, expanded):
    assert expand(text, ENV, file="f") == expanded


@pytest.mark.parametrize(
    ("text", "line", "column"), [("a\nb ${X", 2, 3), ("${X:-y", 1, 1), ("a${B c}", 1, 2)]
)
def test_a_brace_that_is_never_closed(text, line, column):
    with pytest.raises(LabctlError) as caught:
        expand(text, ENV, file="f")
    assert (caught.value.code, caught.value.where) == ("bad-value", Span("f", line, column))


def test_defaults_within_defaults_have_an_end():
    def deep(levels):
        return "\n" + "${X:-" * levels + "end" + "}" * levels

    assert expand(deep(64), {}, file="f") == "\nend"
    with pytest.raises(LabctlError, match="nested more than 64 levels") as caught:
        expand(deep(5000), {}, file="f")
    assert caught.value.where == Span("f", 2, 1 + 64 * len("${X:-"))
