"""Callbacks: their bodies, and the HTTP sender, which signs them."""
