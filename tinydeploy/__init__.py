"""tinydeploy: from a quantised network to a firmware proven bit for bit."""

__version__ = "0.1.0"
