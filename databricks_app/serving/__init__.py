"""Sockets and processes: how requests reach the receiver and how answers are sent."""
