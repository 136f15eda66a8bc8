"""The wire: frames, sessions, reconnects and the pool; written once for all exchanges."""
