"""Go templates of lab files: what they print, where their lines come from, and that none runs away."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.errors import LabctlError
from labctl.schema import gotemplate

DATA = {"name": "x", "n": 3, "zero": 0, "list": ["a", "b"], "map": {"b": 2, "a": 1}, "yes": True, "f": 1.5}


def rendered(text, data=DATA):
    return gotemplate.render(text, data, file="t.yml").text


def error(text, data=DATA):
    with pytest.raises(LabctlError) as caught:
        gotemplate.render(text, data, file="t.yml")
    return caught.value.code, str(caught.value.where), caught.value.message


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("plain $x {a}", "plain $x {a}"),
        ("{{ .name }}-{{.n}}", "x-3"),
        ("{{ $.map.a }}{{ $.map.b }}", "12"),
        ("{{ .list }} {{ .map }} {{ .yes }} {{ .f }}", "[a b] map[a:1 b:2] true 1.5"),
        ("{{/* said\nto people */}}a{{- /* and here */ -}} b", "ab"),
        ("a {{- .n -}} b", "a3b"),
        ("a{{ -1 }}", "a-1"),
        ('{{ "a\\"\\n" }}{{ `raw \\n` }}', 'a"\nraw \\n'),
        ("{{ if .yes }}a{{ end }}{{ if .zero }}b{{ else }}c{{ end }}", "ac"),
        ("{{ if eq .n 1 }}1{{ else if eq .n 3 }}3{{ else }}x{{ end }}", "3"),
        ("{{ if .absent }}a{{ else }}b{{ end }}{{ if .absent.deeper }}a{{ end }}", "b"),
        (
            "{{ if and .yes .n }}a{{ end }}{{ if or .zero .absent }}b{{ end }}{{ if not .zero }}c{{ end }}",
            "ac",
        ),
        ("{{ with .map }}{{ .a }}{{ end }}{{ with .absent }}x{{ else }}y{{ end }}", "1y"),
        ("{{ range .list }}<{{ . }}>{{ end }}", "<a><b>"),
        ("{{ range $i, $v := .list }}{{ $i }}{{ $v }}{{ end }}", "0a1b"),
        ("{{ range $k, $v := .map }}{{ $k }}{{ $v }}{{ end }}", "a1b2"),
        ("{{ range $v := seq 3 }}{{ $v }}{{ end }}{{ range seq 2 4 }}{{ . }}{{ end }}", "123234"),
        ("{{ range seq 5 1 2 }}{{ . }}{{ end }}", "531"),
        ("{{ range 3 }}{{ . }}{{ end }}", "012"),
        ("{{ range .absent }}a{{ else }}none{{ end }}", "none"),
        ("{{ $x := 1 }}{{ if .yes }}{{ $x = 2 }}{{ end }}{{ $x }}", "2"),
        ("{{ $x := 1 }}{{ if .yes }}{{ $x := 2 }}{{ end }}{{ $x }}", "1"),
        ('{{ printf "65%03d" (add 1 2) }} {{ printf "%s-%d%%" .name .n }}', "65003 x-3%"),
        ('{{ printf "%-4s|%4s|%02x|%q|%v|%.2f" "a" "b" 10 "c" .list .f }}', 'a   |   b|0a|"c"|[a b]|1.50'),
        ("{{ .n | add 1 | mul 2 }} {{ sub 1 3 }} {{ rem 7 4 }}", "8 -2 3"),
        ("{{ len .list }}{{ len .map }}{{ len .name }}", "221"),
        ('{{ index .list 1 }}{{ index .map "a" }}', "b1"),
        ("{{ (index .list 0) }}{{ lt 1 2 }}{{ ge .n 3 }}{{ ne 1 2 }}", "atruetruetrue"),
        ("{{ .absent | default 7 }}{{ default 7 .n }}", "73"),
        ("{{ eq .n 1 2 3 }}{{ true }}", "truetrue"),
        ("{{ print .name .n }}", "x3"),
    ],
)
def test_what_a_template_prints(template, text):
    assert rendered(template) == text


@pytest.mark.parametrize(
    ("template", "code", "place"),
    [
        ("a\n  {{ .absent }}", "missing-variable", "t.yml:2:6"),
        ("{{ .map.c.d }}", "missing-variable", "t.yml:1:4"),
        ("{{ add 1 .absent }}", "missing-variable", "t.yml:1:10"),
        ('{{ template "x" . }}', "unsupported", "t.yml:1:4"),
        ('{{ define "x" }}{{ end }}', "unsupported", "t.yml:1:4"),
        ("{{ range .list }}{{ break }}{{ end }}", "unsupported", "t.yml:1:21"),
        ("{{ .name | upper }}", "unsupported", "t.yml:1:12"),
        ("{{", "bad-template", "t.yml:1:1"),
        ("{{ .name", "bad-template", "t.yml:1:1"),
        ("{{ }}", "bad-template", "t.yml:1:1"),
        ("{{ if .yes }}", "bad-template", "t.yml:1:1"),
        ("{{ end }}", "bad-template", "t.yml:1:1"),
        ("{{ else }}", "bad-template", "t.yml:1:1"),
        ("{{ if .yes }}{{ else }}{{ else }}{{ end }}", "bad-template", "t.yml:1:24"),
        ('{{ "a\\z" }}', "bad-template", "t.yml:1:4"),
        ("{{ 1x }}", "bad-template", "t.yml:1:4"),
        ("{{ .name .n }}", "bad-template", "t.yml:1:4"),
        ("{{ add (1 }}", "bad-template", "t.yml:1:8"),
        ("{{ .name.x }}", "bad-template", "t.yml:1:4"),
        ("{{ $none }}", "bad-template", "t.yml:1:4"),
        ("{{ $none = 1 }}", "bad-template", "t.yml:1:1"),
        ("{{ $a, $b := 1 }}", "bad-template", "t.yml:1:4"),
        ('{{ add "a" 1 }}', "bad-template", "t.yml:1:4"),
        ("{{ len 1 }}", "bad-template", "t.yml:1:4"),
        ("{{ index .list 9 }}", "bad-template", "t.yml:1:4"),
        ('{{ eq 1 "1" }}', "bad-template", "t.yml:1:4"),
        ("{{ lt 1 .map }}", "bad-template", "t.yml:1:4"),
        ("{{ seq 1 5 0 }}", "bad-template", "t.yml:1:4"),
        ("{{ rem 1 0 }}", "bad-template", "t.yml:1:4"),
        ('{{ printf "%d" "a" }}', "bad-template", "t.yml:1:4"),
        ('{{ printf "%d %d" 1 }}', "bad-template", "t.yml:1:4"),
        ('{{ printf "%d" 1 2 }}', "bad-template", "t.yml:1:4"),
        ("{{ not }}", "bad-template", "t.yml:1:4"),
        ("{{ range .name }}{{ end }}", "bad-template", "t.yml:1:1"),
    ],
)
def test_what_is_wrong_with_a_template(template, code, place):
    assert error(template)[:2] == (code, place)


@pytest.mark.parametrize(
    "bomb",
    [
        "{{ range seq 1 10000000 }}{{ end }}",
        "{{ range 1000000 }}{{ end }}",
        "{{ range seq 100000 }}{{ range seq 100000 }}{{ end }}{{ end }}",
        '{{ $x := "aaaaaaaa" }}{{ range seq 60 }}{{ $x = print $x $x }}{{ end }}',
        "{{ $x := 2 }}{{ range seq 60 }}{{ $x = mul $x $x }}{{ end }}",
        "{{ range seq 100000 }}" + "x" * 1000 + "{{ end }}",
        "{{ if 1 }}" * 100,
        "{{ if 0 }}" + "{{ else if 0 }}" * 100,
        "{{ " + "(" * 5000,
        '{{ printf "%99999s" "a" }}',
    ],
    ids=range(10),
)
def test_a_template_that_would_run_away_is_stopped(bomb):
    assert error(bomb)[0] == "bad-template"


def test_each_line_knows_where_it_came_from():
    text = "a\n{{ range seq 2 }}\nb{{ . }}\n{{ end }}\nc\n"
    found = gotemplate.render(text, {}, file="t")
    lines = dict(zip(found.text.split("\n"), found.lines, strict=True))
    assert (lines["a"], lines["b1"], lines["b2"], lines["c"]) == (1, 3, 3, 5)


@given(st.text(st.sampled_from('{}-()|.$"`:= \nabif end range else seq 1')))
def test_any_text_is_rendered_or_refused(text):
    with contextlib.suppress(LabctlError):
        found = gotemplate.render("{{ if .a }}" + text, {"a": 1}, file="t")
        assert len(found.lines) == found.text.count("\n") + 1
