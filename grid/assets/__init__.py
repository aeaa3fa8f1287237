"""Energy assets: sun, wind, battery; parameters and physics, no input or output."""
