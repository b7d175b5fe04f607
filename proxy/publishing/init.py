"""`registry init`: a folder to begin with, in which everything that signing needs is in its place.

Keys beside the folder of trusted ones, a small registry with its signature, and the settings of a
sidecar that takes nothing else. Nothing that is there is touched.
"""

from argparse import Namespace
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from proxy.artifact import identity, moment
from proxy.config.document import read_document
from proxy.people.output import Output
from proxy.people.unusable import UnusableError
from proxy.publishing.private_keys import PUBLIC_MODE, Made, make_keys, read_private, write_new
from proxy.publishing.signing import sig_text, sign

_PRIVATE_FOLDER: Final = 0o700
_PROFILE: Final = "default"
REGISTRY: Final = """\
# Which servers there are, and which tools they have. Callers use POST /tools/{namespace}.{tool}.
# After each change: toolproxy registry sign registry.yaml --key keys/NAME.key
version: "1.0"

servers:
  - namespace: text                     # callers say text.upper
    name: text-tools
    endpoints: [http://127.0.0.1:9001]  # one or more, all alike
    tools:
      - name: upper
        description: The text in capitals
"""
SETTINGS: Final = """\
# Settings of a sidecar that takes up nothing but what was signed. Paths are seen from where it
# starts: cd here, then toolproxy run -c proxy.yaml
listen: 127.0.0.1:8080

registry:
  path: registry.yaml            # with registry.yaml.sig beside it
  require_signature: true
  trusted_keys: trusted_keys     # whose signatures count; several, while one follows the other
  profile: default               # a signature for another deployment does not count here
  store: var/registry            # generations, history, and the newest version that was seen
"""
IGNORED: Final = """\
keys/
var/
"""


def init(output: Output, options: Namespace, environ: Mapping[str, str]) -> int:
    _ = environ
    folder = Path(options.dir)
    texts = {".gitignore": IGNORED, "registry.yaml": REGISTRY, "proxy.yaml": SETTINGS}
    _refuse_what_is_there(folder, [*texts, "registry.yaml.sig", "var/registry"])
    now = datetime.now(UTC).timestamp()
    keys = make_keys(options.name, folder / "keys", now=now, public_folder=folder / "trusted_keys")
    for name, text in texts.items():
        write_new(folder / name, text.encode(), PUBLIC_MODE)
    write_new(folder / "registry.yaml.sig", _signature(keys, now), PUBLIC_MODE)
    _make_store(folder / "var")
    _tell(folder, keys, output)
    return 0


def _refuse_what_is_there(folder: Path, names: list[str]) -> None:
    there = [name for name in names if (folder / name).exists()]
    if there:
        raise UnusableError(
            f"{folder} has {', '.join(there)} already, and nothing is overwritten:"
            " name another folder"
        )


def _signature(keys: Made, now: float) -> bytes:
    sha256 = identity(read_document(REGISTRY).root)
    return sig_text(sign(sha256, _PROFILE, 1, moment(now), read_private(keys.private)))


def _make_store(folder: Path) -> None:
    """For the sidecar alone: who writes there can lower the version that counts as the newest."""
    try:
        folder.mkdir(_PRIVATE_FOLDER, exist_ok=True)
        (folder / "registry").mkdir(_PRIVATE_FOLDER)
    except OSError as error:
        raise UnusableError(f"{folder} cannot be made: {error.strerror}") from None


def _tell(folder: Path, keys: Made, output: Output) -> None:
    if output.for_people:
        output.text(_NEXT.format(folder=folder, key=keys.private.relative_to(folder)))
        return
    output.document(
        {
            "folder": str(folder),
            "key_id": keys.key.key_id,
            "private_key": str(keys.private),
            "public_key": str(keys.public),
            "registry": str(folder / "registry.yaml"),
            "settings": str(folder / "proxy.yaml"),
        }
    )


_NEXT: Final = """\
{folder} has keys, a sample registry with its signature, settings and a store. Next:

  cd {folder}
  edit registry.yaml
  toolproxy registry sign registry.yaml --key {key}
  toolproxy registry verify registry.yaml --trusted trusted_keys
  toolproxy run -c proxy.yaml

{key} signs for every sidecar that trusts it. Keep it where you publish, and never on a sidecar:
that one needs registry.yaml, registry.yaml.sig, proxy.yaml, trusted_keys/ and var/ alone.
"""
