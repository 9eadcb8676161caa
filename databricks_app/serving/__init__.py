"""Sockets and processes: how requests reach the receiver and how its answers go out."""
