"""What one of our services refused, at the side of who asked: the same error, in own words.

Nothing but a reason crosses, so the words are those of the error's own class.
"""

import inspect
import re
from collections.abc import Iterator

import grpc

from client.serving.answers import MISSING, QUALITY, REASON
from common import errors

_WORDS = re.compile(r"[a-z_]{1,40}")


def refused(error: grpc.RpcError) -> errors.MascaronError:
    """The error of ours that ``error`` carries the reason of.

    ``DeploymentError`` where nobody answered, or an answer has no reason of ours.
    """
    told = {key: value for key, value in error.trailing_metadata() or () if isinstance(value, str)}
    reason = told.get(REASON, "")
    if reason == errors.QualityError.reason:
        words = tuple(filter(_WORDS.fullmatch, told.get(QUALITY, "").split(",")))
        return errors.QualityError(_seen(words), words)
    if reason == errors.InsufficientCalibrationError.reason:
        return _insufficient(told.get(MISSING, ""))
    if reason == errors.ForbiddenError.reason:
        return errors.ForbiddenError("what is forbidden")
    if reason in _KINDS:
        kind = _KINDS[reason]
        return kind(inspect.getdoc(kind) or reason)
    return _unanswered(error.code())


def _seen(words: tuple[str, ...]) -> str:
    return f"the face is not seen well enough: {', '.join(words) or 'several small defects'}"


def _insufficient(missing: str) -> errors.MascaronError:
    numbers = [int(word) for word in missing.split() if word.isascii() and word.isdigit()]
    comparisons, people = numbers if len(numbers) == 2 else (0, 0)
    return errors.InsufficientCalibrationError(comparisons=comparisons, people=people)


def _unanswered(code: grpc.StatusCode) -> errors.MascaronError:
    if code is grpc.StatusCode.UNAVAILABLE:
        return errors.DeploymentError("nobody answers there: is `mascaron-site serve` running?")
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return errors.DeploymentError("no answer in time: look at the log of `mascaron-site serve`")
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return errors.DeploymentError("too large, or too many ask at once: send less, or later")
    return errors.DeploymentError(
        f"the site could not answer ({code.name}): look at the log of `mascaron-site serve`"
    )


def _kinds(kind: type[errors.MascaronError]) -> Iterator[tuple[str, type[errors.MascaronError]]]:
    for one in kind.__subclasses__():
        yield from _kinds(one)
    if kind is not errors.MascaronError:
        yield kind.reason, kind


# The most general class of a reason comes last, and counts.
_KINDS = dict(_kinds(errors.MascaronError))
