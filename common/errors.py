"""Every error this project raises on purpose.

A caller branches on the class or on ``reason``; a person reads the message. Messages name files,
sections and keys, never a person.
"""


class MascaronError(Exception):
    """Base of them all. ``reason`` is stable, machine-readable, and safe to send anywhere."""

    reason = "INTERNAL"


class ConfigError(MascaronError):
    """A configuration file does not say what it must."""

    reason = "CONFIG_INVALID"


class PictureError(MascaronError):
    """A picture is broken, hostile, too large, or of a format that is not allowed."""

    reason = "PICTURE_REFUSED"


class NoFaceError(PictureError):
    """No face, or more than one where exactly one was asked for, was found in a picture."""

    reason = "NO_SINGLE_FACE"


class DataSetError(MascaronError):
    """A folder or pack of faces does not hold what was asked of it."""

    reason = "DATASET_INVALID"


class ModelError(MascaronError):
    """A network cannot be used: unknown name, BatchNorm left in, unexpected buffer or shape."""

    reason = "MODEL_INVALID"


class TrunkError(ModelError):
    """A trunk file is not the one its manifest or the plan names."""

    reason = "TRUNK_MISMATCH"


class OperatorError(ModelError):
    """An ONNX file uses an operator or attribute outside the listed subset."""

    reason = "ONNX_OPERATOR_UNSUPPORTED"


class PlanError(MascaronError):
    """A privacy plan is inconsistent, or this site's policy does not allow it."""

    reason = "PLAN_REFUSED"


class BudgetError(MascaronError):
    """The next release would cost more privacy than the site has left."""

    reason = "PRIVACY_BUDGET_EXHAUSTED"


class LedgerError(MascaronError):
    """The privacy ledger was altered or cannot be read; the site must stop releasing."""

    reason = "LEDGER_CORRUPT"


class ReplayError(MascaronError):
    """The same run and round was asked again with other contents."""

    reason = "REPLAY_MISMATCH"


class GateError(MascaronError):
    """Something not on the allow-list tried to leave the site."""

    reason = "GATE_REFUSED"


class WireError(MascaronError):
    """A message from another process is malformed."""

    reason = "INVALID_REQUEST"


class VersionError(WireError):
    """The other side speaks another version of the wire protocol."""

    reason = "PROTOCOL_VERSION"


class NotReadyError(MascaronError):
    """The site has nothing to answer with yet: no accepted plan, or no people."""

    reason = "NOT_READY"


class RunError(MascaronError):
    """A run cannot start, go on or be resumed, or has no place to keep its results."""

    reason = "RUN_FAILED"


class ScenarioError(ConfigError):
    """A laboratory scenario is inconsistent with itself or with the faces given."""

    reason = "SCENARIO_INVALID"
