"""Exchanges on loopback that speak the real protocols, and remember all that they sent."""
