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
