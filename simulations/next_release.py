"""A release for a door from public people alone: what a federation of no sites would hand out."""

from pathlib import Path
from tempfile import TemporaryDirectory

from common.faces.faceset import FaceSet
from common.models.cache import FeatureCache
from common.models.studio import Progress, Studio
from common.models.tail_file import tail_bytes
from common.models.trunk import load_trunk
from common.moments.matching import site_tail
from common.moments.own import own_part
from server.public import PublicCameras, open_tail, randomised, shoot_public

VIEWS, SIMULATED, STEPS = 4, 2, 100
MOST = 400  # pictures: more of them would take minutes


def public_release(trunk: Path, public: FaceSet, progress: Progress) -> bytes:
    """The file of a tail for the trunk at ``trunk``, tuned on the first of ``public`` people.

    They are seen through randomised cameras, so that it may do for cameras nobody has described.
    """
    seeing, tail = load_trunk(trunk)
    few = public.subset(range(min(len(public), MOST)))
    how = PublicCameras(camera=randomised(), views=VIEWS, simulated_views=SIMULATED)
    with TemporaryDirectory() as scratch:
        studio = Studio(seeing, FeatureCache(Path(scratch)), progress)
        opening = open_tail(tail, shoot_public(few, how, studio), STEPS)
    made = site_tail(opening.reference, own_part(opening.reference, ()), None)
    return tail_bytes(made, seeing.hash)
