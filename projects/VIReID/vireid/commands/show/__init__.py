"""The commands that draw: `vireid show ...`."""
