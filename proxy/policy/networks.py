"""Networks: does an address lie in one of these?

Knows addresses as text. Knows nothing of who has them.
"""

import ipaddress

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def among(address: str, networks: tuple[Network, ...]) -> bool:
    """False for what is no IP address; an IPv4 address within IPv6 is what it stands for."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return any(ip.version == network.version and ip in network for network in networks)
