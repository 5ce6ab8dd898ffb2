"""How a call finds its implementation: tables, options, the registry of backends."""

from softaxis._dispatch._explain import Explanation, explain_dispatch
from softaxis._dispatch._forced import get_backend
from softaxis._dispatch._listing import BackendStatus, list_backends
from softaxis._dispatch._options import backend_opts, set_backends
from softaxis._dispatch._tables import Table

__all__ = [
    "BackendStatus",
    "Explanation",
    "Table",
    "backend_opts",
    "explain_dispatch",
    "get_backend",
    "list_backends",
    "set_backends",
]
