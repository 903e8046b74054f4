import pytest

from labctl.errors import LabctlError
from labctl.linux import whole


def test_the_old_file_stays_until_the_new_one_is_there(tmp_path):
    path = tmp_path / "new" / "file"
    whole.write(str(path), b"one")
    whole.write(str(path), b"two")
    assert path.read_bytes() == b"two"
    assert [p.name for p in path.parent.iterdir()] == ["file"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_what_cannot_be_written_is_named_and_leaves_nothing(tmp_path):
    (tmp_path / "there").mkdir()
    with pytest.raises(LabctlError) as caught:
        whole.write(str(tmp_path / "there"), b"x")
    assert (caught.value.code, str(caught.value.where)) == ("cannot-write", str(tmp_path / "there"))
    assert [p.name for p in tmp_path.iterdir()] == ["there"]


def test_at_most_one_directory_is_made_on_the_way(tmp_path):
    whole.check(str(tmp_path / "new" / "file"))
    whole.check_directory(str(tmp_path / "new"))
    whole.check("file")
    whole.check("/file")
    for refused in (whole.check, whole.check_directory):
        with pytest.raises(LabctlError, match="there is no directory") as caught:
            refused(str(tmp_path / "some" / "new" / "file"))
        assert caught.value.code == "cannot-write"
        assert str(caught.value.hint).startswith("make it first: `mkdir -p ")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LabctlError, match="file is not a directory"):
        whole.check(str(tmp_path / "file" / "new" / "file"))
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_an_empty_name_is_said_to_be_one():
    for check in (whole.check, whole.check_directory):
        with pytest.raises(LabctlError, match="is empty"):
            check("")
