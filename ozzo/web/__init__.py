"""What the running controller serves over HTTP on loopback; FastAPI is imported only when it is started."""
