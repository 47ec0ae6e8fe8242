"""What a site uploads in a secure sum, in bytes: at most a tenth more than its vector alone."""

from pathlib import Path

import numpy as np
import pytest

from common.secagg.phases import PHASES
from server.strategies.aggregating import Aggregation
from tests.small_secagg import SmallFederation, small_context, small_terms

SCATTER = 8256  # coordinates of the smallest release of a whole layer


@pytest.mark.parametrize("sites", [3, 16, 32, 64])
def test_every_site_uploads_at_most_a_tenth_more_than_its_plain_vector(
    sites: int, tmp_path: Path
) -> None:
    """Five signatures, two keys, a digest, and per site a share, two checks and half a box."""
    federation, terms = SmallFederation(sites, tmp_path), small_terms(sites, size=SCATTER)
    sent = dict.fromkeys(federation.names, 0)
    federation.vectors = {name: np.zeros(SCATTER, np.int64) for name in federation.names}
    centre = Aggregation(small_context(terms), federation.roster)
    for phase in PHASES:
        replies = federation.answers(centre, phase)
        for name, reply in replies.items():
            sent[name] += len(reply)
        centre.take(phase, replies)
    assert not centre.total.any()
    [each] = set(sent.values())
    dealt = 32 * (sites - terms.threshold) + 12 * sites
    fixed = each - 4 * SCATTER - dealt - 16 * sites
    assert 5 * 64 + 2 * 32 + 16 <= fixed <= 425
    assert each <= 1.1 * 4 * SCATTER
