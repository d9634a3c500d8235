"""Where a queue or a machine is reached: what is taken, and the hint for what is not."""

from __future__ import annotations

from typing import Any

import pytest

from magma_remote.model.address import Address


@pytest.mark.parametrize(
    ("written", "text", "target"),
    [
        pytest.param("127.0.0.1:11300", "127.0.0.1:11300", ("127.0.0.1", 11300), id="IPv4"),
        pytest.param("queue.lab:1", "queue.lab:1", ("queue.lab", 1), id="name"),
        pytest.param("[fe80::1%eth0]:65535", "[fe80::1%eth0]:65535", ("fe80::1%eth0", 65535), id="IPv6"),
        pytest.param("/run/q.sock", "unix:/run/q.sock", "/run/q.sock", id="path"),
        pytest.param("unix:/run/q.sock", "unix:/run/q.sock", "/run/q.sock", id="unix"),
    ],
)
def test_addresses(written: str, text: str, target: Any) -> None:
    address = Address.parse(written)
    assert (address.text, address.target) == (text, target)
    assert Address.parse(address.text) == address


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        pytest.param("localhost", "did you mean localhost:11300?", id="no port"),
        pytest.param("::1", "did you mean [::1]:11300?", id="bare IPv6"),
        pytest.param("fe80:::1:11300", "", id="broken IPv6"),
        pytest.param("::ffff:1130:1130", "did you mean [::ffff:1130:1130]:11300?", id="IPv6 with a doubtful port"),
        pytest.param("[queue]:1", "", id="brackets without IPv6"),
        pytest.param(":11300", "", id="no host"),
        pytest.param("", "", id="empty"),
        pytest.param("a b:1", "", id="blank"),
        pytest.param("10.0.1:1", "", id="half an IPv4"),
        pytest.param("host:", "a port is a number from 1 to 65535", id="no number"),
        pytest.param("host:0", "a port is a number from 1 to 65535", id="port 0"),
        pytest.param("host:65536", "a port is a number from 1 to 65535", id="port too large"),
        pytest.param("host:" + "9" * 5000, "a port is a number from 1 to 65535", id="port of 5000 digits"),
        pytest.param("host:²", "a port is a number from 1 to 65535", id="superscript"),
        pytest.param("unix:run/q", "write the whole path of the socket, beginning with /", id="relative"),
        pytest.param("/run/", "write the whole path of the socket, beginning with /", id="folder"),
        pytest.param("/" + "s" * 107, "the path of a socket has at most 107 bytes", id="long path"),
    ],
)
def test_no_addresses(text: str, hint: str) -> None:
    with pytest.raises(ValueError, match=r".*") as caught:
        Address.parse(text)
    assert str(caught.value) == hint
