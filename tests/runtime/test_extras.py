"""A package that is not there is named, with what to install."""

from __future__ import annotations

import pytest

from vidrestore.errors import NotAvailableError
from vidrestore.runtime.extras import require_extra


def test_a_missing_package_is_named_with_its_extra() -> None:
    require_extra("numpy")
    with pytest.raises(
        NotAvailableError, match=r'no_such_package.*pip install "vidrestore\[eval\]'
    ):
        require_extra("no_such_package", "eval")
