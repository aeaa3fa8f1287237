"""What energy can do: sun, wind, battery, tariff, connection, network, demand response (floor 1, imports nothing above)."""
