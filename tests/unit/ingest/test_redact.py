"""What is taken out of lines that no parser took apart."""

import pytest

from labctl.ingest.redact import Redactor, scrub


@pytest.mark.parametrize(
    "line",
    [
        "enable password 8 hunter2",
        "username bob secret 5 hunter2",
        "snmp-server community hunter2 ro",
        "snmp-server host 10.0.0.1 version 2c hunter2",
        "snmp-server user bob grp v3 auth sha hunter2 priv aes hunter2",
        "tacacs-server key hunter2",
        "key-string 7 hunter2",
        "ntp authentication-key 1 md5 hunter2",
        "  isis password hunter2",
        "crypto isakmp pre-shared-key hunter2",
        "some thing with Token hunter2",
    ],
)
def test_a_telling_word_takes_the_rest_of_the_line(line):
    assert "hunter2" not in scrub(line)
    assert scrub(line) != line


@pytest.mark.parametrize("line", ["net 49.0001", "match community BLUE", "is-type level-2-only"])
def test_other_lines_stay(line):
    assert scrub(line) == line


def test_clean_takes_known_secrets_out_of_free_text():
    redactor = Redactor()
    redactor.token("hunter2")
    redactor.token("abc")
    assert redactor.clean("key is hunter2, not abc") == "key is <key 1>, not abc"
