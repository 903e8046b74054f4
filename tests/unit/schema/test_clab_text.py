"""A lab file before it is YAML: its variables, its template, its environment, and git's words in its name."""

import shutil
import subprocess

import pytest

from labctl.errors import LabctlError
from labctl.schema import clab, clab_text, dotenv, git_words

TEMPLATE = """\
name: t
topology:
  nodes:
{{- range $i := seq 1 .leaves }}
    leaf{{ $i }}: {kind: linux, image: "{{ $.image }}:${TAG:-1}"}
{{- end }}
"""


@pytest.fixture
def lab(tmp_path):
    def write(text, name="t.clab.yml", **others):
        for other, said in others.items():
            (tmp_path / other.replace("__", ".")).write_text(said)
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return write


def load(path, **options):
    return clab.load(path, **({"env": {}, "notify": lambda _: None} | options))


def failed(path, **options):
    with pytest.raises(LabctlError) as caught:
        load(path, **options)
    return caught.value


# ---- variables of templates


def test_variables_come_from_the_named_files_and_the_later_one_wins(lab, tmp_path):
    path = lab(TEMPLATE, a__yml="leaves: 2\nimage: a", b__json='{"image": "b"}')
    found = load(path, variables=[str(tmp_path / "a.yml"), str(tmp_path / "b.json")])
    assert [(n.name, n.image) for n in found.nodes] == [("leaf1", "b:1"), ("leaf2", "b:1")]


def test_variables_beside_the_file_carry_its_name(lab, tmp_path):
    path = lab(
        TEMPLATE,
        **{
            "t.clab_vars.yml": "leaves: 1\nimage: mine\nmap: {a: 1, b: 1}",
            "t.clab_vars.site.yaml": "map: {b: 2}",
            "t.clab_varsx.yml": "image: foreign",
            "other.clab_vars.yml": "image: foreign",
        },
    )
    assert load(path).nodes[0].image == "mine:1"
    assert clab_text.variables(path) == {"leaves": 1, "image": "mine", "map": {"a": 1, "b": 1}}
    assert [p.rsplit("/")[-1] for p in clab_text.beside(path)] == ["t.clab_vars.site.yaml", "t.clab_vars.yml"]


def test_named_files_replace_those_beside_the_file(lab, tmp_path):
    path = lab(TEMPLATE, v__yml="leaves: 1\nimage: named", **{"t.clab_vars.yml": "image: beside"})
    assert load(path, variables=[str(tmp_path / "v.yml")]).nodes[0].image == "named:1"


def test_maps_of_variables_are_merged_in_depth(lab, tmp_path):
    path = lab("x", a__yml="m: {a: {x: 1, y: 1}, l: [1, 2]}", b__yml="m: {a: {y: 2}, l: [3]}")
    merged = clab_text.variables(path, [str(tmp_path / "a.yml"), str(tmp_path / "b.yml")])
    assert merged == {"m": {"a": {"x": 1, "y": 2}, "l": [3]}}


def test_variables_have_types(lab, tmp_path):
    path = lab(
        "x", v__yml="[{a: 1, b: yes, c: 'yes', d: 010, e: 0x1F, f: 1.5, g: ~, h: 1_000, i: -3, j: r1}]"
    )
    (tmp_path / "v.yml").write_text((tmp_path / "v.yml").read_text().strip("[]"))
    assert clab_text.variables(path, [str(tmp_path / "v.yml")]) == {
        "a": 1,
        "b": True,
        "c": "yes",
        "d": 8,
        "e": 31,
        "f": 1.5,
        "g": None,
        "h": 1000,
        "i": -3,
        "j": "r1",
    }


def test_what_a_template_lacks_is_said_with_its_place(lab):
    found = failed(lab(TEMPLATE))
    assert (found.code, found.where.line, found.message) == (
        "missing-variable",
        4,
        "the template needs the variable `leaves`, which nothing sets",
    )


def test_a_file_of_variables_is_a_map_and_there(lab, tmp_path):
    path = lab(TEMPLATE, v__yml="- 1")
    assert failed(path, variables=[str(tmp_path / "v.yml")]).code == "bad-value"
    assert failed(path, variables=[str(tmp_path / "absent.yml")]).code == "file-not-found"
    assert (
        failed(lab("name: t\ntopology: {}"), variables=[str(tmp_path / "absent.yml")]).code
        == "file-not-found"
    )


def test_mistakes_in_rendered_lines_point_into_the_template(lab, tmp_path):
    text = TEMPLATE.replace("kind: linux", "kindd: linux") + "  linkz: []\n"
    path = lab(text, v__yml="leaves: 2\nimage: i")
    found = failed(path, variables=[str(tmp_path / "v.yml")])
    assert [(e.code, e.where.line, e.where.column) for e in found.each] == [
        ("unknown-key", 5, 0),
        ("unknown-key", 5, 0),
        ("unknown-key", 7, 3),
    ]
    path = lab(TEMPLATE + "    x: ${Y\n", v__yml="leaves: 2\nimage: i")
    assert failed(path, variables=[str(tmp_path / "v.yml")]).where.line == 7


def test_the_template_comes_before_the_environment(lab, tmp_path):
    text = "name: t\ntopology: {nodes: {a: {kind: linux, image: $%s}}}"
    path = lab(text % "{{ .v }}", v__yml="v: TAG")
    assert load(path, env={"TAG": "frr"}, variables=[str(tmp_path / "v.yml")]).nodes[0].image == "frr"


@pytest.mark.parametrize("hostile", [b"\x7fELF\0\0", b"name: \xff", b"[" * 10_000, b"{{" * 10_000])
def test_what_is_no_lab_file_is_refused(tmp_path, hostile):
    path = tmp_path / "x.clab.yml"
    path.write_bytes(hostile)
    assert failed(path).code in {"bad-yaml", "bad-template"}


# ---- env-files, __IMPORT_ENVS


def test_a_file_of_environment_variables(tmp_path):
    path = tmp_path / "env"
    path.write_text(
        "# comment\n\nA=1\nexport B = two words # said\nC: yaml\nD='$A #x'\nE=\"a\\n${A} \\$A\"  # c\nF=\nG=$A$none.\n"
    )
    assert dotenv.load(str(path)) == {
        "A": "1",
        "B": "two words",
        "C": "yaml",
        "D": "$A #x",
        "E": "a\n1 $A",
        "F": "",
        "G": "1.",
    }


@pytest.mark.parametrize("line", ["novalue", "=x", "A='x", 'A="x', "1A=x", "A=\0"])
def test_what_is_wrong_with_a_line_of_it(tmp_path, line):
    path = tmp_path / "env"
    path.write_text(f"OK=1\n{line}\n")
    with pytest.raises(LabctlError) as caught:
        dotenv.load(str(path))
    assert (caught.value.code, caught.value.where.line) == ("bad-value", 2)


ENV_FILES = """\
name: t
topology:
  defaults: {kind: linux, image: i, env-files: [one, two]}
  nodes: {n: {env-files: [three], env: {C: node}}}
"""


def test_env_files_are_merged_and_env_wins_over_all(lab):
    path = lab(ENV_FILES, one="A=1\nB=1", two="B=2\nC=2", three="C=3\nD=3")
    node = load(path).node("n")
    assert (node.env, node.env_files) == ({"A": "1", "B": "2", "C": "node", "D": "3"}, ())


def test_an_env_file_that_is_not_there(lab, tmp_path):
    path = lab(ENV_FILES, one="A=1", two="")
    found = failed(path)
    assert (found.code, found.where.line) == ("file-not-found", 4)
    told = []
    node = load(path, deferred=told.append).node("n")
    assert (node.env, node.env_files) == ({"A": "1", "C": "node"}, (str(tmp_path / "three"),))
    assert [n.text for n in told] == [
        f"the file of variables {tmp_path}/three is not there; `labctl deploy` refuses it"
    ]


def test_the_whole_environment_is_imported_where_it_is_asked_for(lab):
    text = """\
name: t
topology:
  defaults: {kind: linux, image: i, env: {__IMPORT_ENVS: "true", A: own}}
  kinds: {linux: {env: {B: kind}}}
  nodes: {n: , m: {env: {__IMPORT_ENVS: "no"}}}
"""
    found = load(lab(text), env={"A": "shell", "B": "shell", "C": "shell"})
    assert found.node("n").env == {"A": "own", "B": "kind", "C": "shell"}
    alone = load(lab(text.replace('"true"', '"false"')), env={"C": "shell"})
    assert alone.node("n").env == {"A": "own", "B": "kind"}


# ---- git


needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def git(directory, *words):
    done = subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@example.net", *words],
        cwd=directory,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@needs_git
def test_git_fills_in_its_branch_and_its_commit(tmp_path):
    git(tmp_path, "init", "-q", "-b", "feature/x.1")
    below = tmp_path / "labs"
    below.mkdir()
    assert git_words.filled("a-__gitBranch__-__gitHash__", str(below)) == "a-none-none"
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "one")
    commit = git(tmp_path, "rev-parse", "HEAD")[:7]
    assert git_words.filled("a-__gitBranch__-__gitHash__", str(below)) == f"a-feature-x.1-{commit}"
    git(tmp_path, "pack-refs", "--all")
    assert git_words.filled("__gitHash__", str(below)) == commit
    git(tmp_path, "worktree", "add", "-q", "-b", "tree", "wt")
    assert git_words.filled("__gitBranch__-__gitHash__", str(tmp_path / "wt")) == f"tree-{commit}"
    git(tmp_path, "checkout", "-q", "--detach")
    assert git_words.filled("__gitBranch__-__gitHash__", str(below)) == f"HEAD-{commit}"


@needs_git
def test_the_name_of_a_lab_with_gits_words(lab, tmp_path):
    assert load(lab("name: x-__gitHash__\ntopology: {}")).name == "x-none"
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "one")
    assert load(lab("name: x-__gitBranch__\ntopology: {}")).name == "x-main"
