"""Follows rays from the camera to the head, and from the head to the lamp."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from common.synthetic.canvas import Map, Sheet
from common.synthetic.relief import NOWHERE, TOP
from common.synthetic.solid import Solid
from common.synthetic.variation import Pose, Vector

_NEAREST, _FARTHEST, _STEP = 78.0, -54.0, 6.0  # pixels in front of the ears
_HALVINGS = 5
_TO_LAMP = (2, 4, 7, 11, 16, 23, 32)  # pixels along the ray to the lamp

Points = NDArray[np.float32]  # (3, H, W)


@dataclass(frozen=True, slots=True)
class Seen:
    """What the camera sees at each pixel (H, W).

    ``point`` (3, H, W) and ``normal`` (3, H, W) turn with the head. ``hit`` is 1 where there is
    any person at all. ``over`` (H, W, 2) is that of the solid there; ``hollow`` says how deep in a
    hollow the point lies.
    """

    point: Points
    normal: Points
    hit: Map
    over: NDArray[np.float32]
    hollow: Map


def rotation(pose: Pose) -> NDArray[np.float64]:
    """The (3, 3) matrix that turns the head as seen from the front by yaw, pitch, then roll."""
    cy, sy = math.cos(pose.yaw), math.sin(pose.yaw)
    cp, sp = math.cos(pose.pitch), math.sin(pose.pitch)
    cr, sr = math.cos(pose.roll), math.sin(pose.roll)
    yaw = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    pitch = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    roll = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return np.asarray(roll @ pitch @ yaw)


def projected(points: NDArray[np.float64], pose: Pose) -> NDArray[np.float64]:
    """Where the camera sees ``points`` (N, 3) of the head, (N, 2)."""
    turned = points @ rotation(pose).T
    return np.asarray(turned[:, :2] * (pose.distance / (pose.distance - turned[:, 2:])))


def look(solid: Solid, pose: Pose, screen: Sheet) -> Seen:
    """Traces one ray for each point of the ``screen``."""
    start, step = _rays(pose, screen)
    depth = np.full(screen.x.shape, -5.0, np.float32)
    found = np.zeros(screen.x.shape, bool)
    for at in np.arange(_NEAREST, _FARTHEST, -_STEP, dtype=np.float32):
        new = (_inside(solid, start + at * step) > 0) & ~found
        depth[new] = at
        found |= new
    reach = np.float32(_STEP)
    depth += np.where(found, 0.5 * reach, 0)
    for _ in range(_HALVINGS):
        reach *= np.float32(0.5)
        deep = _inside(solid, start + depth * step) > 0
        depth += np.where(found, np.where(deep, 0.5 * reach, -0.5 * reach), 0)
    point = start + depth * step
    normal, over, hollow = _surface(solid, point)
    return Seen(point, normal, found.astype(np.float32), over, hollow)


def plane(pose: Pose, screen: Sheet, height: float) -> Sheet:
    """Where rays through the ``screen`` meet the plane at ``height`` in front of the ears."""
    start, step = _rays(pose, screen)
    at = (height - start[2]) / step[2]
    return Sheet(start[0] + at * step[0], start[1] + at * step[1])


def shadow(solid: Solid, point: Points, lamp: Vector) -> Map:
    """How much of the lamp is hidden from each point by what stands between: 0 to 1."""
    hidden = np.zeros(point.shape[1:], np.float32)
    towards = np.asarray(lamp, np.float32)[:, None, None]
    for reach in _TO_LAMP:
        blocked = _inside(solid, point + np.float32(reach) * towards) / (1.2 + 0.06 * reach)
        np.maximum(hidden, blocked, out=hidden)
    return np.asarray(cv2.GaussianBlur(np.minimum(hidden, 1), (0, 0), 0.8), np.float32)


def _rays(pose: Pose, screen: Sheet) -> tuple[Points, Points]:
    """Rays in the frame of the head: the point at depth 0, and the step per pixel of depth."""
    back = rotation(pose).T.astype(np.float32)
    x, y = screen.x.astype(np.float32), screen.y.astype(np.float32)
    flat = np.stack([x, y, np.zeros_like(x)]).reshape(3, -1)
    way = np.stack([-x / pose.distance, -y / pose.distance, np.ones_like(x)]).reshape(3, -1)
    shape = (3, *x.shape)
    return (
        np.asarray((back @ flat).reshape(shape), np.float32),
        np.asarray((back @ way).reshape(shape), np.float32),
    )


def _inside(solid: Solid, point: Points) -> Map:
    """How deep in the solid each point lies; negative outside."""
    shape = cv2.remap(
        solid.shape,
        point[0] - np.float32(solid.left),
        point[1] - np.float32(TOP),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(np.minimum(shape[..., 0] - point[2], point[2] - shape[..., 1]), np.float32)


def _surface(solid: Solid, point: Points) -> tuple[Points, NDArray[np.float32], Map]:
    front = np.maximum(solid.shape[..., 0], np.float32(NOWHERE / 3))
    down, right = np.gradient(front)
    smooth = np.gradient(cv2.GaussianBlur(front, (0, 0), 2.2))  # hair has no edges
    hairy = np.clip(solid.over[..., 0] + 1, 0, 1)
    down, right = down + (smooth[0] - down) * hairy, right + (smooth[1] - right) * hairy
    near = np.asarray(cv2.GaussianBlur(front, (0, 0), 4), np.float32)
    maps = np.dstack([right, down, np.clip(near - front, -3, 8)])
    x, y = point[0] - np.float32(solid.left), point[1] - np.float32(TOP)
    found = cv2.remap(maps, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    over = cv2.remap(solid.over, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    right, down = np.clip(found[..., 0], -6, 6), np.clip(found[..., 1], -6, 6)
    norm = 1 / np.sqrt(right**2 + down**2 + 1)
    normal = np.stack([-right * norm, -down * norm, norm]).astype(np.float32)
    return normal, np.asarray(over, np.float32), np.asarray(found[..., 2], np.float32)
