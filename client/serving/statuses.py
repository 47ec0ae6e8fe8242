"""Which gRPC status each reason of ours travels under: one table for the courier, one more for the
door."""

import grpc

STATUS = {
    "AGGREGATION_REFUSED": grpc.StatusCode.FAILED_PRECONDITION,
    "BUSY": grpc.StatusCode.UNAVAILABLE,
    "CHARTER_PENDING": grpc.StatusCode.FAILED_PRECONDITION,
    "CHARTER_REFUSED": grpc.StatusCode.PERMISSION_DENIED,
    "COHORT_TOO_SMALL": grpc.StatusCode.FAILED_PRECONDITION,
    "CONFIG_INVALID": grpc.StatusCode.FAILED_PRECONDITION,
    "DRAINING": grpc.StatusCode.UNAVAILABLE,
    "GATE_REFUSED": grpc.StatusCode.FAILED_PRECONDITION,
    "INVALID_REQUEST": grpc.StatusCode.INVALID_ARGUMENT,
    "LEDGER_CORRUPT": grpc.StatusCode.DATA_LOSS,
    "LEDGER_FULL": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "NOT_READY": grpc.StatusCode.FAILED_PRECONDITION,
    "PLAN_REFUSED": grpc.StatusCode.PERMISSION_DENIED,
    "PRIVACY_BUDGET_EXHAUSTED": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "PROTOCOL_VERSION": grpc.StatusCode.FAILED_PRECONDITION,
    "REPLAY_MISMATCH": grpc.StatusCode.ALREADY_EXISTS,
    "ROLLBACK_DETECTED": grpc.StatusCode.DATA_LOSS,
    "SIGNATURE_INVALID": grpc.StatusCode.PERMISSION_DENIED,
    "TRUNK_MISMATCH": grpc.StatusCode.FAILED_PRECONDITION,
}

# Reasons that never cross to the centre.
DOOR = {
    "AUDIT_BROKEN": grpc.StatusCode.DATA_LOSS,
    "CALLER_UNKNOWN": grpc.StatusCode.UNAUTHENTICATED,
    "CONSENT_EXPIRED": grpc.StatusCode.FAILED_PRECONDITION,
    "CONSENT_MISSING": grpc.StatusCode.INVALID_ARGUMENT,
    "DATASET_INVALID": grpc.StatusCode.FAILED_PRECONDITION,
    "DEPLOYMENT_FAILED": grpc.StatusCode.UNAVAILABLE,
    "DUPLICATE_PERSON": grpc.StatusCode.ALREADY_EXISTS,
    "EVIDENCE_REFUSED": grpc.StatusCode.FAILED_PRECONDITION,
    "GALLERY_FULL": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "HISTORY_REFUSED": grpc.StatusCode.FAILED_PRECONDITION,
    "INSUFFICIENT_CALIBRATION": grpc.StatusCode.FAILED_PRECONDITION,
    "LABEL_REFUSED": grpc.StatusCode.INVALID_ARGUMENT,
    "MODEL_INVALID": grpc.StatusCode.INVALID_ARGUMENT,
    "NO_SINGLE_FACE": grpc.StatusCode.INVALID_ARGUMENT,
    "PAD_REJECTED": grpc.StatusCode.INVALID_ARGUMENT,
    "PICTURE_REFUSED": grpc.StatusCode.INVALID_ARGUMENT,
    "QUALITY_TOO_LOW": grpc.StatusCode.INVALID_ARGUMENT,
    "QUERY_BUDGET_EXHAUSTED": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "QUERY_UNCLEAR": grpc.StatusCode.INVALID_ARGUMENT,
    "RELEASE_NOT_DUE": grpc.StatusCode.FAILED_PRECONDITION,
    "RELEASE_REFUSED": grpc.StatusCode.FAILED_PRECONDITION,
    "RELEASE_UNSIGNED": grpc.StatusCode.PERMISSION_DENIED,
    "RELEASE_WITHDRAWN": grpc.StatusCode.FAILED_PRECONDITION,
    "ROLE_REFUSED": grpc.StatusCode.PERMISSION_DENIED,
    "SESSION_UNKNOWN": grpc.StatusCode.NOT_FOUND,
    "SPLIT_VIEW": grpc.StatusCode.DATA_LOSS,
    "TOO_MANY_OPEN": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "TOPIC_FORBIDDEN": grpc.StatusCode.PERMISSION_DENIED,
    "UNKNOWN_PERSON": grpc.StatusCode.NOT_FOUND,
    "VAULT_CORRUPT": grpc.StatusCode.DATA_LOSS,
    "VAULT_SEALED": grpc.StatusCode.FAILED_PRECONDITION,
}


def status_of(reason: str) -> grpc.StatusCode:
    """What ``reason`` travels under; INTERNAL for one that is in neither table."""
    return STATUS.get(reason) or DOOR.get(reason, grpc.StatusCode.INTERNAL)
