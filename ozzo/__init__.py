"""The running system: command line, MQTT, node agents, journal, telemetry (floor 4)."""
