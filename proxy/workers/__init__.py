"""Several processes that are one sidecar: a master, an office that knows, workers that carry."""
