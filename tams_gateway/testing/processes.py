"""New processes for clauses, forked from one that has imported what this process has."""

import multiprocessing
import sys
from multiprocessing.context import ForkServerContext


def fresh() -> ForkServerContext:
    """Return how to start processes that hold nothing of this one but its imports.

    The SDK of a store may take seconds to import, and a clause may need fifty processes. What they
    are forked from starts once, has one thread, and has opened nothing.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([name for name in sorted(sys.modules) if _is_worth_it(name)])
    return context


def _is_worth_it(name: str) -> bool:
    """Whether a module is a package of others as a whole, or one of the gateway and its plugins."""
    top, _, inner = name.partition(".")
    if top.startswith("tams_gateway"):
        return not name.endswith("__main__")
    return not inner and top[0] != "_" and top not in sys.stdlib_module_names
