"""The trainer's version; that of pyproject.toml and the chart."""

VERSION = "0.1.0"
