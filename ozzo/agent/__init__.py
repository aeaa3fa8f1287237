"""The program on a node; light imports only, because it runs on every node."""
