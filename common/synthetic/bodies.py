"""Upper bodies for scenes: shoulders that stay where they are while the head turns."""

import dataclasses

import cv2
import numpy as np
from numpy.typing import NDArray

from common.synthetic import tracing
from common.synthetic.canvas import Map
from common.synthetic.people import Person
from common.synthetic.relief import LEFT, NOWHERE, TALL, TOP
from common.synthetic.renderer import Sitter
from common.synthetic.solid import Solid

_WIDER = 46  # pixels that shoulders reach beyond the grid on either side
_CLOTH = 0.3  # share of light that the camera takes a body to reflect


def upper_body(sitter: Sitter) -> tuple[Sitter, NDArray[np.float64]]:
    """Neck and shoulders alone, turned half as far as the head, and how far (2,) to move them.

    The move puts the neck under the head again; it is in pixels of the face's own frame.
    """
    pose = sitter.variation.pose
    calm = dataclasses.replace(pose, yaw=0.4 * pose.yaw, pitch=0.0, roll=0.0)
    bare = dataclasses.replace(sitter.variation.looks, eyewear="none", hat="none")
    seen = dataclasses.replace(sitter.variation, pose=calm, looks=bare, obstacle="none")
    joint = np.array([[0.0, sitter.person.outline.chin_y + 10, -2.0]])
    move = tracing.projected(joint, pose)[0] - tracing.projected(joint, calm)[0]
    solid = _shoulders(sitter.solid, sitter.person)
    return Sitter(sitter.person, seen, solid, metered=_CLOTH), move


def without_body(solid: Solid, person: Person) -> Solid:
    """The head with hair, hat and neck, without the clothes below."""
    row, column = np.mgrid[TOP : TOP + TALL, LEFT : LEFT + solid.skin.shape[1]]
    chin = person.outline.chin_y
    clothes = (solid.over[..., 1] > 0) & (row > chin + 1) & (np.abs(column) > 46)
    low = (row > chin + 14 + _dip(np.abs(column))) & (solid.over[..., 0] <= 0)
    gone = clothes | low
    front = np.where(gone, NOWHERE, solid.shape[..., 0])
    back = np.where(gone, -NOWHERE, solid.shape[..., 1])
    shape = np.dstack([front, back]).astype(np.float32)
    return dataclasses.replace(solid, shape=shape)


def _dip(across: Map) -> Map:
    """How far the neck of a pullover reaches down in the middle."""
    return np.asarray(7 * np.clip(1 - (across / 27) ** 2, 0, 1), np.float32)


def _shoulders(solid: Solid, person: Person) -> Solid:
    """A chest in a pullover with a round neck."""
    sides = ((0, 0), (_WIDER, _WIDER), (0, 0))
    shape, over = np.pad(solid.shape, sides, "edge"), np.pad(solid.over, sides, "edge")
    left = solid.left - _WIDER
    row, column = np.mgrid[TOP : TOP + TALL, left : left + shape.shape[1]].astype(np.float32)
    across, chin = np.abs(column), person.outline.chin_y
    slope = 0.32 * np.clip(across - 26, 0, None) + 0.0028 * np.clip(across - 88, 0, None) ** 3
    edge = row - (chin + 14 + slope + _dip(across))
    wide = np.clip(1 - (across / 122) ** 2, 0, 1)
    chest = -18 + 38 * np.sqrt(wide) * np.clip(0.62 + 0.09 * np.clip(edge, 0, 4.5), 0, 1)
    chest = chest + 1.6 * np.exp(-(((edge - 2.2) / 1.6) ** 2)) * (across < 30)
    neck = np.clip(1 - (across / (0.74 * person.outline.jaw)) ** 2, 0, 1)
    bare = (neck > 0) & (row > chin - 16)
    body = (edge > 0) & (wide > 0)
    front = np.where(body, chest, np.where(bare, -14 + 26 * np.sqrt(neck), NOWHERE))
    back = np.where(body, -46.0, np.where(bare, -30.0, -NOWHERE))
    over[..., 0] = -6
    over[..., 1] = np.where(body, 6, -6)
    smooth = cv2.GaussianBlur(np.dstack([front, back]).astype(np.float32), (0, 0), 0.8)
    return Solid(np.asarray(smooth, np.float32), over.astype(np.float32), solid.skin, left)
