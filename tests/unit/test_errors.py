"""Facts about errors: they are the contract's table, one class a row."""

import inspect

import pytest

from proxy import errors
from proxy.errors import Blame, ProxyError

# Status and code, as the table in the HTTP contract has them (what this version can make of it).
TABLE = {
    (400, "bad_request"),
    (401, "unauthenticated"),
    (403, "forbidden"),
    (403, "origin_not_allowed"),
    (404, "tool_not_found"),
    (404, "namespace_not_found"),
    (404, "generation_not_found"),
    (405, "method_not_allowed"),
    (408, "request_timeout"),
    (409, "registry_conflict"),
    (413, "body_too_large"),
    (414, "uri_too_long"),
    (415, "unsupported_media_type"),
    (422, "idempotency_mismatch"),
    (422, "registry_rejected"),
    (424, "missing_credentials"),
    (429, "queue_full"),
    (429, "queue_timeout"),
    (429, "rate_limited"),
    (431, "headers_too_large"),
    (500, "internal"),
    (501, "not_implemented"),
    (502, "connect_failed"),
    (502, "upstream_protocol"),
    (502, "upstream_closed"),
    (503, "no_healthy_endpoint"),
    (503, "circuit_open"),
    (503, "draining"),
    (503, "server_quarantined"),
    (503, "too_many_connections"),
    (503, "registry_not_loaded"),
    (503, "store_unavailable"),
    (504, "upstream_timeout"),
    (504, "connect_timeout"),
    (505, "http_version"),
    (508, "loop_detected"),
}
# RFC 9209, 2.3: the registered types that mean what ours mean, with the status recommended for each
# where it is one status.
REGISTERED = {
    "destination_unavailable": 503,
    "connection_refused": 502,
    "connection_terminated": 502,
    "connection_timeout": 504,
    "connection_read_timeout": 504,
    "connection_limit_reached": None,  # 503; ours are 429 for a queue of ours, as the contract says
    "http_request_error": None,
    "http_request_denied": 403,
    "http_protocol_error": 502,
    "proxy_internal_error": 500,
    "proxy_configuration_error": None,
    "proxy_loop_detected": None,
}


def classes() -> list[type[ProxyError]]:
    """Every way to fail that has a code, which is every one that is raised."""
    found = [each for _, each in inspect.getmembers(errors, inspect.isclass)]
    return [each for each in found if issubclass(each, ProxyError) and hasattr(each, "code")]


CLASSES = classes()
each_class = pytest.mark.parametrize("error", CLASSES, ids=[each.__name__ for each in CLASSES])


@each_class
def test_status_and_code_are_a_row_of_the_contract(error: type[ProxyError]) -> None:
    assert (error.status, error.code) in TABLE


def test_every_row_of_the_contract_has_a_class() -> None:
    assert {(error.status, error.code) for error in CLASSES} >= TABLE


def test_classes_differ_in_code_or_in_their_facts() -> None:
    facts = [(error.status, error.code, error.closes, error.nothing_sent) for error in CLASSES]

    assert len(set(facts)) == len(facts)


@each_class
def test_a_code_means_one_status(error: type[ProxyError]) -> None:
    assert {each.status for each in CLASSES if each.code == error.code} == {error.status}


@each_class
def test_name_in_proxy_status_is_registered_for_the_status(error: type[ProxyError]) -> None:
    assert REGISTERED[error.proxy_status] in {None, error.status}


@each_class
def test_only_an_upstreams_failure_is_blamed_on_it(error: type[ProxyError]) -> None:
    upstreams = error.status in {502, 504} or error.code == "no_healthy_endpoint"

    assert (error.blame is Blame.UPSTREAM) is upstreams


def test_what_is_retryable_was_not_sent() -> None:
    retryable = {error.code for error in CLASSES if error.retryable}

    assert retryable == {
        "request_timeout",
        "queue_full",
        "queue_timeout",
        "rate_limited",
        "no_healthy_endpoint",
        "circuit_open",
        "too_many_connections",
        "draining",
        "registry_not_loaded",
        "connect_failed",
        "connect_timeout",
    }


def test_connection_closes_where_nobody_knows_what_comes_next() -> None:
    closing = {error.__name__ for error in CLASSES if error.closes}

    assert closing == {
        "BadRequestError",
        "RequestTimeoutError",
        "BodyTooLargeError",
        "UriTooLongError",
        "HeadersTooLargeError",
        "NotImplementedMethodError",
        "HttpVersionError",
        "ConnectMethodError",
        "TooManyConnectionsError",
        "DrainingError",
        "InternalError",
    }


def test_error_carries_its_sentence_and_its_fields() -> None:
    error = errors.MethodNotAllowedError("Only POST", retry_after_s=3, headers=(("Allow", "POST"),))

    assert (str(error), error.detail, error.retry_after_s, error.headers) == (
        "Only POST",
        "Only POST",
        3,
        (("Allow", "POST"),),
    )


def test_error_without_fields_has_none() -> None:
    error = errors.InternalError("A bug")

    assert (error.retry_after_s, error.headers) == (None, ())
