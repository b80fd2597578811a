"""The kit lies beside the checkout, and is no part of it."""

import pytest

from localcloud.conformance.instruments import InstrumentsMissing, find_kit


@pytest.fixture(scope="session")
def kit_place():
    try:
        return find_kit()
    except InstrumentsMissing as missing:
        pytest.skip(str(missing))
