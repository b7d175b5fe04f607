"""Sources: which one do the settings mean?"""

from proxy.config.sections import RegistrySettings
from proxy.generations.file_source import FileSource
from proxy.generations.source import Source


def source_of(settings: RegistrySettings) -> Source:
    """The source of the settings; raises `SourceError` when it can't be one."""
    if not settings.url:
        return FileSource(settings.path, settings.poll_interval_s)
    # Imported here: a start with a file, as most are, need not load them.
    from proxy.generations.https_source import HttpsSource  # noqa: PLC0415 - as above
    from proxy.generations.redis_source import RedisSource  # noqa: PLC0415 - as above

    kind = RedisSource if settings.url.startswith("redis") else HttpsSource
    return kind(settings.url, settings.poll_interval_s)
