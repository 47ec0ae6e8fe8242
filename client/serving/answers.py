"""Errors of ours as gRPC statuses, in one place for every service of a site."""

import functools
import logging
from collections.abc import Callable
from typing import Any

import grpc

from client.serving.statuses import status_of
from common import errors

REASON = "reason"  # key of the trailing metadata
QUALITY, MISSING = "quality", "missing"  # keys of what two of our errors tell besides

log = logging.getLogger(__name__)


def answers(method: Callable[..., Any]) -> Callable[..., Any]:
    """Maps our errors to gRPC statuses. Anything else is a bug, and bugs tell nothing.

    Leaks: the stable ``reason``; what is wrong with a picture, in words of
    ``common.faces.quality``, to who sent it; how many people a calibration lacks, to who asked for
    one. No message, path, score or name.
    """

    @functools.wraps(method)
    def call(self: Any, request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return method(self, request, context)
        except errors.MascaronError as error:
            log.warning("%s refused: %s", method.__name__, error.reason)
            code, told = status_of(error.reason), _told(error)
        except Exception as error:
            log.error("%s failed: %s", method.__name__, type(error).__name__)
            code, told = grpc.StatusCode.INTERNAL, ((REASON, "INTERNAL"),)
        context.set_trailing_metadata(told)
        return context.abort(code, told[0][1])  # never returns: it raises

    return call


def _told(error: errors.MascaronError) -> tuple[tuple[str, str], ...]:
    first = (REASON, error.reason)
    if isinstance(error, errors.QualityError):
        return first, (QUALITY, ",".join(error.reasons))
    if isinstance(error, errors.InsufficientCalibrationError):
        return first, (MISSING, f"{error.comparisons} {error.people}")
    return (first,)
