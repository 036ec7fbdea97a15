"""The one vocabulary of errors, for /v2 and the REST API alike. Pure.

A class is a code, an HTTP status and a default message; services raise it, `harborlite.rest.answers` alone renders it
as {"errors": [{"code", "message", "detail"}]}. Codes of the registry protocol are those of the OCI distribution
spec 1.1, section "Error Codes"; the others are Harbor's.

    HarborliteError
      Unauthorized 401   Denied 403        NotFound 404       Conflict 409
      BadRequest 400     Precondition 412  TooLarge 413       TooManyRequests 429
      Unavailable 503    StorageFull 507   RequestTimeout 408 QuotaExceeded 403 (a Denied, as CsrfInvalid)
      MethodNotAllowed 405                 UnsupportedMediaType 415
      registry: NameInvalid NameUnknown DigestInvalid SizeInvalid RangeInvalid Unsupported
                BlobUnknown BlobUploadUnknown
                ManifestUnknown ManifestInvalid ManifestBlobUnknown ManifestTooLarge TagInvalid
"""

from collections.abc import Mapping


class HarborliteError(Exception):
    """Base of every error a client may see: `code` and `status` are the class's, `message` says what to do."""

    code = "UNKNOWN"
    status = 500
    message = "internal error"

    def __init__(
        self,
        message: str | None = None,
        *,
        detail: object = None,
        headers: Mapping[str, str] | None = None,
        close: bool = False,
    ) -> None:
        super().__init__(message or self.message)
        if message:
            self.message = message
        self.detail = detail
        self.headers = dict(headers or {})
        self.close = close
        """The connection can't be used again: the request's body was not read to its end."""


class Unauthorized(HarborliteError):
    code, status, message = "UNAUTHORIZED", 401, "authentication required"


class Denied(HarborliteError):
    code, status, message = "DENIED", 403, "requested access to the resource is denied"


class CsrfInvalid(Denied):
    message = "the request does not prove that it comes from no other site"


class QuotaExceeded(Denied):
    code, message = "QUOTA_EXCEEDED", "the project's quota has no room for this"


class MethodNotAllowed(HarborliteError):
    code, status, message = "METHOD_NOT_ALLOWED", 405, "the method is not allowed here"


class UnsupportedMediaType(HarborliteError):
    code, status, message = "UNSUPPORTED_MEDIA_TYPE", 415, "the body's media type is not supported"


class NotFound(HarborliteError):
    code, status, message = "NOT_FOUND", 404, "not found"


class Conflict(HarborliteError):
    code, status, message = "CONFLICT", 409, "already exists"


class BadRequest(HarborliteError):
    code, status, message = "BAD_REQUEST", 400, "bad request"


class Precondition(HarborliteError):
    code, status, message = "PRECONDITION", 412, "the current state does not allow this"


class TooLarge(HarborliteError):
    code, status, message = "SIZE_INVALID", 413, "the request body is too large"


class TooManyRequests(HarborliteError):
    code, status, message = "TOOMANYREQUESTS", 429, "too many requests; try again later"


class Unavailable(HarborliteError):
    code, status, message = "UNAVAILABLE", 503, "a part of the service is not available; try again later"


class StorageFull(HarborliteError):
    code, status, message = "UNAVAILABLE", 507, "the registry's storage is full; ask its administrator to free space"


class RequestTimeout(HarborliteError):
    code, status, message = "BLOB_UPLOAD_INVALID", 408, "the request body arrived too slowly"


# The registry protocol.


class NameInvalid(HarborliteError):
    code, status, message = "NAME_INVALID", 400, "invalid repository name"


class NameUnknown(HarborliteError):
    code, status, message = "NAME_UNKNOWN", 404, "repository name not known to registry"


class TagInvalid(HarborliteError):
    code, status, message = "MANIFEST_INVALID", 400, "invalid tag or digest"


class DigestInvalid(HarborliteError):
    code, status, message = "DIGEST_INVALID", 400, "provided digest did not match uploaded content"


class SizeInvalid(HarborliteError):
    code, status, message = "SIZE_INVALID", 400, "provided length did not match content length"


class RangeInvalid(HarborliteError):
    code, status, message = "BLOB_UPLOAD_INVALID", 416, "the range does not continue the upload"


class Unsupported(HarborliteError):
    code, status, message = "UNSUPPORTED", 405, "the operation is unsupported"


class BlobUnknown(HarborliteError):
    code, status, message = "BLOB_UNKNOWN", 404, "blob unknown to registry"


class BlobUploadUnknown(HarborliteError):
    code, status, message = "BLOB_UPLOAD_UNKNOWN", 404, "blob upload unknown to registry"


class ManifestUnknown(HarborliteError):
    code, status, message = "MANIFEST_UNKNOWN", 404, "manifest unknown to registry"


class ManifestInvalid(HarborliteError):
    code, status, message = "MANIFEST_INVALID", 400, "manifest invalid"


class ManifestBlobUnknown(HarborliteError):
    code, status, message = "MANIFEST_BLOB_UNKNOWN", 404, "manifest references a manifest or blob unknown to registry"


class ManifestTooLarge(HarborliteError):
    code, status, message = "MANIFEST_INVALID", 413, "manifest exceeds 4 MiB"
