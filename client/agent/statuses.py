"""Which gRPC status each reason of ours travels under: one table."""

import grpc

STATUS = {
    "CONFIG_INVALID": grpc.StatusCode.FAILED_PRECONDITION,
    "GATE_REFUSED": grpc.StatusCode.FAILED_PRECONDITION,
    "INVALID_REQUEST": grpc.StatusCode.INVALID_ARGUMENT,
    "LEDGER_CORRUPT": grpc.StatusCode.DATA_LOSS,
    "NOT_READY": grpc.StatusCode.FAILED_PRECONDITION,
    "PLAN_REFUSED": grpc.StatusCode.PERMISSION_DENIED,
    "PRIVACY_BUDGET_EXHAUSTED": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "PROTOCOL_VERSION": grpc.StatusCode.FAILED_PRECONDITION,
    "REPLAY_MISMATCH": grpc.StatusCode.ALREADY_EXISTS,
    "TRUNK_MISMATCH": grpc.StatusCode.FAILED_PRECONDITION,
}
