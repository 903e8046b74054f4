import os

import pytest

from labctl.linux import rooted


def test_an_absolute_link_stays_inside_the_root(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "hostname").write_text("inside")
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "run").symlink_to("/run")
    (tmp_path / "escape").symlink_to("../../../../../../etc/passwd")

    assert rooted.read_text(str(tmp_path), "/var/run/hostname") == "inside"
    with pytest.raises(FileNotFoundError):
        rooted.open_in(str(tmp_path), "/escape")
    assert os.path.exists(tmp_path / "escape")  # the plain way does leave
