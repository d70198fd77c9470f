"""Stepwise quantisation: the cheapest recipe whose accuracy holds, on a named board."""

from .executors import Cluster, Executor, Local
from .quality import parse_drop
from .run import SearchRequest, search

__all__ = ["Cluster", "Executor", "Local", "SearchRequest", "parse_drop", "search"]
