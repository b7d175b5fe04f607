"""Operators' requests that concern generations of the registry: what cannot be done, and why."""

from proxy.errors.base import Blame, ProxyError
from proxy.errors.own import UnavailableError


class GenerationNotFoundError(ProxyError):
    """No such generation is kept, or none is published there."""

    status = 404
    code = "generation_not_found"
    title = "Not Found"


class RegistryConflictError(ProxyError):
    """It does not fit what runs now: nothing is pinned, or held, or newer."""

    status = 409
    code = "registry_conflict"
    title = "Conflict"


class RegistryRejectedError(ProxyError):
    """The registry that came with the request may not be a generation here."""

    status = 422
    code = "registry_rejected"
    title = "Unprocessable Content"


class StoreUnavailableError(UnavailableError):
    """The store of generations is off, or cannot be read or written."""

    code = "store_unavailable"
    retryable = False
    blame = Blame.SIDECAR


class RegistryNotLoadedError(UnavailableError):
    """The registry's source has not answered yet, and there is no copy of it."""

    code = "registry_not_loaded"
