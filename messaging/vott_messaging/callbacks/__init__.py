"""Callbacks: their bodies, the HTTP sender, which signs them, and the pace of progress."""
