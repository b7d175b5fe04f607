"""Which directives change nothing here, and what to do in the place of those that are not carried.

Knows nginx's names. Does not look at arguments: where those matter, the module that carries the
directive over says so.
"""

from typing import Final

BLOCKS: Final = frozenset(("http", "events", "server", "location"))  # looked into

# Somebody else reads these and says what of them is left out.
_CARRIED: Final = """
    access_log add_header allow absolute_redirect alias auth_basic auth_request
    client_body_timeout client_header_timeout client_max_body_size default_type deny error_log
    fastcgi_pass grpc_pass uwsgi_pass scgi_pass memcached_pass
    if internal keepalive_timeout large_client_header_buffers limit_except listen map merge_slashes
    port_in_redirect proxy_connect_timeout proxy_hide_header proxy_next_upstream
    proxy_next_upstream_tries proxy_pass proxy_read_timeout proxy_send_timeout proxy_set_header
    proxy_ssl_certificate proxy_ssl_certificate_key proxy_ssl_name proxy_ssl_trusted_certificate
    proxy_ssl_verify real_ip_header return rewrite root send_timeout server_name set
    set_real_ip_from ssl_certificate ssl_certificate_key ssl_client_certificate ssl_protocols
    ssl_verify_client try_files underscores_in_headers upstream worker_connections
    worker_processes worker_shutdown_timeout
    """
CARRIED: Final = frozenset(_CARRIED.split())

# How nginx itself works, what only files need, and options of what is named by itself.
_SILENT: Final = """
    accept_mutex accept_mutex_delay aio aio_write auth_basic_user_file auth_request_set
    autoindex_exact_size autoindex_format autoindex_localtime client_body_buffer_size
    client_body_in_file_only client_body_in_single_buffer client_body_temp_path
    client_header_buffer_size connection_pool_size daemon debug_points directio
    directio_alignment disable_symlinks etag gzip_buffers gzip_comp_level gzip_disable
    gzip_http_version gzip_min_length gzip_proxied gzip_static gzip_types gzip_vary gzip_window
    gzip_hash if_modified_since index keepalive_disable keepalive_requests keepalive_time
    limit_conn_log_level limit_conn_status limit_conn_zone limit_req_log_level limit_req_status
    limit_req_zone lingering_close lingering_time lingering_timeout load_module lock_file
    log_format log_not_found log_subrequest map_hash_bucket_size map_hash_max_size master_process
    max_ranges min_delete_depth mp4 msie_padding msie_refresh multi_accept open_file_cache
    open_file_cache_errors open_file_cache_min_uses open_file_cache_valid open_log_file_cache
    output_buffers pcre_jit pid postpone_output proxy_buffer_size proxy_buffering proxy_buffers
    proxy_busy_buffers_size proxy_cache_background_update proxy_cache_bypass
    proxy_cache_convert_head proxy_cache_key proxy_cache_lock proxy_cache_lock_age
    proxy_cache_lock_timeout proxy_cache_max_range_offset proxy_cache_methods
    proxy_cache_min_uses proxy_cache_revalidate proxy_cache_use_stale proxy_cache_valid
    proxy_no_cache proxy_headers_hash_bucket_size proxy_headers_hash_max_size
    proxy_ignore_headers proxy_max_temp_file_size proxy_pass_header proxy_request_buffering
    proxy_send_lowat proxy_socket_keepalive proxy_ssl_server_name proxy_ssl_session_reuse
    proxy_ssl_password_file proxy_temp_file_write_size proxy_temp_path read_ahead
    real_ip_recursive request_pool_size reset_timedout_connection resolver_timeout sendfile
    sendfile_max_chunk send_lowat server_names_hash_bucket_size server_names_hash_max_size
    server_tokens ssl_buffer_size ssl_prefer_server_ciphers ssl_session_cache ssl_session_timeout
    ssl_stapling_file ssl_stapling_responder ssl_stapling_verify ssl_trusted_certificate
    subrequest_output_buffer_size tcp_nodelay tcp_nopush thread_pool timer_resolution types
    types_hash_bucket_size types_hash_max_size use user variables_hash_bucket_size
    variables_hash_max_size worker_aio_requests worker_cpu_affinity worker_priority
    working_directory rewrite_log ssl_verify_depth charset_types override_charset
    """
SILENT: Final = frozenset(_SILENT.split())
# Options of a handler that is named by itself.
SILENT_FAMILIES: Final = ("fastcgi_", "uwsgi_", "scgi_", "memcached_", "grpc_")

# Words that mean: not in use, or what the sidecar does anyway.
NOTHING_IF: Final = {
    "aio": ("off",),
    "auth_basic": ("off",),
    "auth_request": ("off",),
    "autoindex": ("off",),
    "charset": ("off",),
    "chunked_transfer_encoding": ("on",),
    "expires": ("off",),
    "gzip": ("off",),
    "gunzip": ("off",),
    "http2": ("off",),
    "http3": ("off",),
    "ignore_invalid_headers": ("on",),
    "limit_rate": ("0",),
    "proxy_cache": ("off",),
    "proxy_http_version": ("1.1",),
    "proxy_ignore_client_abort": ("off",),
    "proxy_intercept_errors": ("off",),
    "proxy_pass_request_body": ("on",),
    "proxy_pass_request_headers": ("on",),
    "proxy_redirect": ("off",),
    "proxy_store": ("off",),
    "recursive_error_pages": ("off",),
    "server_name_in_redirect": ("off",),
    "ssl": ("off",),
    "ssl_session_tickets": ("on",),
    "ssl_stapling": ("off",),
    "ssl_early_data": ("off",),
    "proxy_force_ranges": ("off",),
}

WHY: Final = {
    "autoindex": "the sidecar serves no files; leave them to a server of files, and route to it",
    "auth_delay": "there is no log-in by password; let the application ask for it",
    "break": "rules that only break off are not followed; take them out",
    "charset": "answers go on as they are; let the application say its charset",
    "error_page": "an upstream's errors go on as they are, and the sidecar's own are problem+json",
    "expires": "set Cache-Control in the route's response_headers",
    "geo": "routes do not tell callers apart by their address",
    "gzip": "answers are not compressed; let the application do it, or what is in front",
    "http2": "callers speak HTTP/1.1 to the sidecar; nothing to do",
    "http3": "callers speak HTTP/1.1 to the sidecar; nothing to do",
    "ignore_invalid_headers": "a request with an ill-formed header is refused",
    "limit_conn": "there is no limit by address; limits.connections in proxy.yaml holds for all",
    "limit_rate": "there is no limit of bandwidth; set it at the network",
    "limit_req": "there is no rate by address; `rate` in registry.yaml limits calls to tools",
    "mail": "the sidecar speaks HTTP alone; keep nginx for it",
    "mirror": "requests are not sent twice",
    "proxy_bind": "the kernel chooses the address; set a route in the system",
    "proxy_cache": "answers are not cached; let the application or a cache in front do it",
    "proxy_cache_path": "answers are not cached; nothing to do",
    "proxy_cookie_domain": "cookies go on as they are; let the application set them right",
    "proxy_cookie_flags": "cookies go on as they are; let the application set them right",
    "proxy_cookie_path": "cookies go on as they are; let the application set them right",
    "proxy_http_version": "upstreams are spoken to in HTTP/1.1; nothing to do",
    "proxy_ignore_client_abort": "a call ends when its caller leaves",
    "proxy_intercept_errors": "an upstream's errors go on as they are",
    "proxy_next_upstream_timeout": "the route's timeout covers all tries",
    "proxy_pass_request_body": "bodies always go on",
    "proxy_pass_request_headers": "headers always go on; name others in request_headers",
    "proxy_redirect": "Location goes on as it is; pass Host on, then the application gets it right",
    "proxy_ssl_ciphers": "ciphers are the sidecar's own choice; nothing to do",
    "proxy_ssl_protocols": "upstreams are spoken to in TLS 1.2 and 1.3; nothing to do",
    "resolver": "names are asked of the system's resolver, and followed; set it there",
    "satisfy": "what it joins was left out; see there",
    "server_name_in_redirect": "redirects name the host that was asked for",
    "split_clients": "shares are not drawn by chance; use the weights of two endpoints",
    "ssl": "say it with listen … ssl",
    "ssl_ciphers": "ciphers are the sidecar's own choice, sane ones only; nothing to do",
    "ssl_conf_command": "how TLS is spoken is the sidecar's own choice, sane forms only",
    "ssl_crl": "there are no lists of revoked certificates; renew the CA that client_ca names",
    "ssl_dhparam": "ciphers are the sidecar's own choice, sane ones only; nothing to do",
    "ssl_early_data": "early data is not accepted, so nothing can be replayed; nothing to do",
    "ssl_ecdh_curve": "curves are the sidecar's own choice, sane ones only; nothing to do",
    "ssl_password_file": "a key must lie open to the sidecar; take its password off",
    "ssl_reject_handshake": "a name that no certificate is for gets the first certificate",
    "ssl_session_ticket_key": "tickets are the sidecar's own; nothing to do",
    "ssl_session_tickets": "sessions can be resumed; nothing to do",
    "ssl_stapling": "no OCSP answer goes along; nothing to do",
    "stream": "the sidecar speaks HTTP alone; keep nginx for it",
    "stub_status": "ask /metrics of the admin listener instead",
    "sub_filter": "bodies go on as they are; let the application change them",
    "worker_rlimit_nofile": "set it where the sidecar is started (ulimit -n, LimitNOFILE)",
}
UNKNOWN: Final = "it has no counterpart; see whether you need what it does"


def why(name: str) -> str:
    return WHY.get(name, UNKNOWN)


def is_silent(name: str, first: str) -> bool:
    """Does it change nothing here?"""
    if name in NOTHING_IF:
        return first in NOTHING_IF[name]
    return name in SILENT or name.startswith(SILENT_FAMILIES)
