"""What fits into the broadcast of a campaign."""

from __future__ import annotations

import json
from itertools import product

import pytest

from magma_remote.errors import UsageError
from magma_remote.model.campaign_request import CampaignRequest
from magma_remote.runtime.dispatcher.opening import check_size

HOST = {"host": "dispatcher.example.org", "workdir": "/var/lib/magma-remote/campaigns/a-name-of-some-length/workdir"}
PAIRS = tuple(product((f"aflplusplus_{n:02}" for n in range(15)), (f"libsndfi{n}" for n in range(9))))


def a_request(size: int, pairs: tuple[tuple[str, str], ...] = ()) -> CampaignRequest:
    """A campaign whose file takes `size` bytes on the wire."""
    text = "#" * (size - len(json.dumps("")))
    return CampaignRequest(source="campaign.hjson", text=text, tree="0" * 64, timeout=1.0, jobs=(), pairs=pairs)


def test_135_images_and_a_file_of_nearly_40000_bytes() -> None:
    assert len(PAIRS) == 135
    check_size(a_request(39_600, PAIRS), **HOST)


@pytest.mark.parametrize(
    ("made", "says"),
    [
        pytest.param(a_request(40_001), "campaign.hjson is too long for a message of the queue", id="file"),
        pytest.param(a_request(39_600, PAIRS * 2), "the digests of its 270 images are too long", id="images"),
    ],
)
def test_what_is_too_long(made: CampaignRequest, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        check_size(made, **HOST)


def test_more_images_where_the_file_is_short() -> None:
    check_size(a_request(1_000, PAIRS * 3), **HOST)
