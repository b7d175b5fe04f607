"""The table that comes after another, made of what an entry says."""

from proxy.config.settings import Settings
from proxy.registry.cluster import Cluster
from proxy.registry.endpoint import Endpoint
from proxy.registry.load import LoadRules, load
from proxy.registry.snapshot import Snapshot, adopt, succeed
from proxy.registry.surroundings import Surroundings
from proxy.registry.witness import Witness


def successor(
    old: Snapshot, witness: Witness[Cluster], server: str, others: str = "", now: float = 0.0
) -> tuple[Snapshot, list[Endpoint]]:
    """The next table, adopted, and the endpoints that are gone; `others` are entries beside `o`."""
    text = "servers:\n- namespace: o\n  name: origin\n  passthrough: true\n"
    if "endpoints:" not in server:
        text += "  endpoints: [http://10.0.0.9]\n"
    if "tools:" not in server:
        text += "  tools: [{name: call}, {name: again, idempotent: true}]\n"
    text += "".join(f"  {line}\n" for line in server.splitlines()) + others
    loaded = load(text.encode(), "registry.yaml", LoadRules.of(Settings()), {})
    assert not loaded.findings, loaded.findings
    around = Surroundings(lambda template: template, lambda name: name != "NOT_SET", witness)
    *_, new = succeed(old, loaded, around)
    return new, adopt(old, new, now)
