"""The optional packages, which `pip install "vidrestore[…]"` brings."""

from __future__ import annotations

from importlib.util import find_spec

from vidrestore.errors import NotAvailableError

__all__ = ["require_extra"]


def require_extra(package: str, extra: str = "train") -> None:
    """Refuse to go on without a package of an extra.

    Args:
        package: name of the package.
        extra: what to install for it.

    Raises:
        NotAvailableError: if it is not installed.
    """
    if find_spec(package) is None:
        raise NotAvailableError(
            f"not available: the package {package} is not installed; "
            f'pip install "vidrestore[{extra}]"'
        )
