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


class QualityError(PictureError):
    """The face in a picture is not seen well enough; ``reasons`` says what is wrong with it.

    ``reasons`` are words of ``common.faces.quality``, the worst first.
    """

    reason = "QUALITY_TOO_LOW"

    def __init__(self, message: str, reasons: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.reasons = reasons


class PadError(PictureError):
    """A picture is not taken for one of a living person, or nobody could tell."""

    reason = "PAD_REJECTED"


class DataSetError(MascaronError):
    """A folder or pack of faces does not hold what was asked of it."""

    reason = "DATASET_INVALID"


class ModelError(MascaronError):
    """A network cannot be used: unknown name, BatchNorm left in, unexpected buffer or shape."""

    reason = "MODEL_INVALID"


class TrunkError(ModelError):
    """A trunk file is not the one its manifest or the plan names."""

    reason = "TRUNK_MISMATCH"


class DegradedError(ModelError):
    """A trunk made smaller tells people apart less well than it may, and was not written."""

    reason = "TRUNK_DEGRADED"


class OperatorError(ModelError):
    """An ONNX file uses an operator or attribute outside the listed subset."""

    reason = "ONNX_OPERATOR_UNSUPPORTED"


class ForbiddenError(MascaronError):
    """A label, prompt or query is about what is never said of anybody here: ``category`` tells.

    What was written is never repeated.
    """

    reason = "TOPIC_FORBIDDEN"

    def __init__(self, category: str) -> None:
        super().__init__(
            f"words about {category} are neither labelled, said nor searched here: ask for what "
            "can be seen, such as glasses, a beard or the colour of hair"
            if category != "site"
            else "this site's policy.toml denies one of these words"
        )
        self.category = category


class LabelError(MascaronError):
    """Labels that this site does not keep: a name that is not in the vocabulary, an age that
    nobody has, or a kind that `heads` in policy.toml does not switch on."""

    reason = "LABEL_REFUSED"


class QueryError(MascaronError):
    """A query contradicts itself or asks for what cannot be searched; it is never repeated."""

    reason = "QUERY_UNCLEAR"


class PlanError(MascaronError):
    """A privacy plan is inconsistent, or this site's policy does not allow it."""

    reason = "PLAN_REFUSED"


class BudgetError(MascaronError):
    """The next release would cost more privacy than the site has left."""

    reason = "PRIVACY_BUDGET_EXHAUSTED"


class LedgerError(MascaronError):
    """The privacy ledger was altered or cannot be read; the site must stop releasing."""

    reason = "LEDGER_CORRUPT"


class LedgerFullError(LedgerError):
    """The privacy ledger has no room for another row: what is in it is whole."""

    reason = "LEDGER_FULL"


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
    """Nothing to answer with yet: no accepted plan, no people, or thresholds not found yet."""

    reason = "NOT_READY"


class RunError(MascaronError):
    """A run cannot start, go on or be resumed, or has no place to keep its results."""

    reason = "RUN_FAILED"


class ScenarioError(ConfigError):
    """A laboratory scenario is inconsistent with itself or with the faces given."""

    reason = "SCENARIO_INVALID"


class SignatureError(MascaronError):
    """A signature is not by the key that it must be by, or not over these words."""

    reason = "SIGNATURE_INVALID"


class CharterError(MascaronError):
    """A charter is for another federation, site, run or time, or says other than before."""

    reason = "CHARTER_REFUSED"


class PendingError(MascaronError):
    """A charter is beyond what the policy accepts by itself: the operator has to decide."""

    reason = "CHARTER_PENDING"


class RollbackError(LedgerError):
    """The ledger never went through a head that this site signed: an older copy was restored."""

    reason = "ROLLBACK_DETECTED"


class BusyError(MascaronError):
    """The agent is at work on another round."""

    reason = "BUSY"


class DrainingError(MascaronError):
    """The agent was asked to stop and takes nothing new."""

    reason = "DRAINING"


class CohortError(RunError):
    """Fewer sites take part than the charter, the policy or the noise needs."""

    reason = "COHORT_TOO_SMALL"


class AggregationError(MascaronError):
    """A step of secure aggregation is inconsistent, repeated, or would show a single update."""

    reason = "AGGREGATION_REFUSED"


class AdmissionError(MascaronError):
    """A site cannot be admitted, or is not any more: token, name, certificate or key."""

    reason = "ADMISSION_REFUSED"


class DeploymentError(MascaronError):
    """A daemon, port, folder or certificate of a deployment is not as it must be."""

    reason = "DEPLOYMENT_FAILED"


class InsufficientCalibrationError(MascaronError):
    """Too few people to show an error rate as low as asked for; nothing is extrapolated.

    ``comparisons`` of other people are missing, which about ``people`` more would bring.
    """

    reason = "INSUFFICIENT_CALIBRATION"

    def __init__(self, message: str = "", *, comparisons: int = 0, people: int = 0) -> None:
        super().__init__(
            message
            or f"too few people to show this error rate: {comparisons:,} comparisons are missing, "
            f"which about {people:,} more people would bring; or ask for a higher rate"
        )
        self.comparisons, self.people = comparisons, people


class GalleryFullError(MascaronError):
    """More templates than a gallery may hold."""

    reason = "GALLERY_FULL"


class VaultError(MascaronError):
    """The vault or its keyring was altered, or does not fit together: it serves nobody."""

    reason = "VAULT_CORRUPT"


class SealedError(VaultError):
    """The vault's keys cannot be opened: another passphrase, key file or device than before."""

    reason = "VAULT_SEALED"


class VaultRollbackError(VaultError):
    """The vault, its keyring or a backup is older than what was seen already."""

    reason = "ROLLBACK_DETECTED"


class UnknownPersonError(MascaronError):
    """Nobody is enrolled under this id: never was, or was erased; the two look alike."""

    reason = "UNKNOWN_PERSON"


class DuplicatePersonError(MascaronError):
    """Somebody is enrolled under this id already, or was and has been erased."""

    reason = "DUPLICATE_PERSON"


class ConsentError(MascaronError):
    """No record of consent, one for no purpose that there is, or one that never began."""

    reason = "CONSENT_MISSING"


class ConsentExpiredError(ConsentError):
    """The consent given has run out: ask the person again, or erase them."""

    reason = "CONSENT_EXPIRED"


class AuditError(MascaronError):
    """The audit log was altered, shortened or replaced: nothing is answered without a whole one."""

    reason = "AUDIT_BROKEN"


class CallerError(MascaronError):
    """Nobody who may call is known by this token or certificate, or the name is taken."""

    reason = "CALLER_UNKNOWN"


class RoleError(MascaronError):
    """The caller may not do this, or nobody may: it is switched off in `site.toml`."""

    reason = "ROLE_REFUSED"


class QueryBudgetError(MascaronError):
    """The caller has asked as often as it may for now: wait, or have its budget raised."""

    reason = "QUERY_BUDGET_EXHAUSTED"


class OpenLimitError(MascaronError):
    """The caller has too many enrolments, or searches to be confirmed, open: finish some first."""

    reason = "TOO_MANY_OPEN"


class SessionError(MascaronError):
    """No enrolment or ticket is open under this id for this caller: it may have run out."""

    reason = "SESSION_UNKNOWN"


class ReleaseError(MascaronError):
    """A release does not fit this site, cannot decide yet, or is not the one that was put there."""

    reason = "RELEASE_REFUSED"


class HistoryError(ReleaseError):
    """A history of releases is not the one known before, is broken, or takes a forbidden step."""

    reason = "HISTORY_REFUSED"


class SplitViewError(HistoryError):
    """The centre signed two histories: another site was shown another one than this site.

    ``entries`` are the two that cannot both be, as the centre signed them; empty where only the
    digest of one is known.
    """

    reason = "SPLIT_VIEW"

    def __init__(self, message: str, entries: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.entries = entries


class UnsignedError(ReleaseError):
    """A site of a federation stages what its centre signed, and this is a tail that nobody signed:
    `mascaron-site release fetch`, then `mascaron-site release stage`."""

    reason = "RELEASE_UNSIGNED"


class WithdrawnError(ReleaseError):
    """The centre withdrew this release, and nobody uses it any more: `mascaron-site release show`
    tells why."""

    reason = "RELEASE_WITHDRAWN"


class NotDueError(ReleaseError):
    """The centre did not put this release in force at this site, or put another one in its place:
    `mascaron-site release show` tells which."""

    reason = "RELEASE_NOT_DUE"


class EvidenceError(ReleaseError):
    """The evidence of a release does not pass this site's own gates: `mascaron-site release show`
    names those that refuse it."""

    reason = "EVIDENCE_REFUSED"
