"""What can go wrong with another registry, in the one vocabulary of harborlite.errors. Pure.

RemoteError 502
  RemoteBlocked        its address may not be reached from here
  RemoteUnavailable    no answer, no whole answer, or 5xx: worth another try later
  RemoteRateLimited    429; `retry_after` seconds, when it said so
  RemoteUnauthorized   401 or 403: of these credentials, or of nobody's
  RemoteNotFound       404
  RemoteRefused        any other 4xx; `codes` are the words it gave
  RemoteInvalid        an answer that is none of this protocol's, or bytes that are not those of their digest
"""

from harborlite.errors import HarborliteError


class RemoteError(HarborliteError):
    """`answer` is the status that the other registry gave, 0 for none; `codes` are those of its errors."""

    code, status, message = "UNAVAILABLE", 502, "the other registry does not do what was asked"

    def __init__(
        self,
        message: str | None = None,
        *,
        answer: int = 0,
        codes: tuple[str, ...] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.answer = answer
        self.codes = codes
        self.retry_after = retry_after


class RemoteBlocked(RemoteError):
    message = "this server may not connect to that address and port; HARBORLITE_OUTBOUND_ALLOW can allow it"


class RemoteUnavailable(RemoteError):
    message = "the other registry does not answer"


class RemoteRateLimited(RemoteError):
    message = "the other registry limits how much may be asked of it"


class RemoteUnauthorized(RemoteError):
    message = "the other registry refuses these credentials"


class RemoteNotFound(RemoteError):
    message = "the other registry does not have it"


class RemoteRefused(RemoteError):
    message = "the other registry refuses the request"


class RemoteInvalid(RemoteError):
    message = "what answers is no registry, or sends what it does not announce"
