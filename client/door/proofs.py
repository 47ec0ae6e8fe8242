"""Who is asking: by a token on the socket, by the certificate of the connection at a port."""

from collections.abc import Callable
from typing import TypeAlias

import grpc

from client.door.callers import Caller, CallerBook
from common.errors import CallerError, SignatureError
from common.trust.certificates import fingerprint, read_certificate

TOKEN = "mascaron-caller"  # noqa: S105 - key of the metadata, not a token
LONGEST = 200  # characters of a token that is looked at

Proof: TypeAlias = Callable[[grpc.ServicerContext], Caller]


def by_token(book: CallerBook) -> Proof:
    """The caller whose token a call carries; ``CallerError`` without one, or with two."""

    def proved(context: grpc.ServicerContext) -> Caller:
        shown = [value for key, value in context.invocation_metadata() or () if key == TOKEN]
        if len(shown) != 1 or not isinstance(shown[0], str) or len(shown[0]) > LONGEST:
            raise CallerError("one token is to be shown")
        return book.of_token(shown[0])

    return proved


def by_certificate(book: CallerBook) -> Proof:
    """The caller whose certificate the connection was made with; a token counts for nothing here,
    so that a stolen one is of no use in the network."""

    def proved(context: grpc.ServicerContext) -> Caller:
        shown = context.auth_context().get("x509_pem_cert", ())
        try:
            (pem,) = shown
            return book.of_certificate(fingerprint(read_certificate(pem)))
        except (ValueError, SignatureError):
            raise CallerError("one certificate is to be shown") from None

    return proved
