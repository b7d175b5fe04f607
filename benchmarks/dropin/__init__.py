"""What the sidecar must do where it stands in nginx's place: routes, WebSockets, TLS, workers."""
