"""What an operator may set: `proxy.yaml`, the environment, flags."""
