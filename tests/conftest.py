"""What many tests share: networks are read once a session, and the names that docstring examples use."""

import pytest

from mmopt.metabolism.network import Network, read_network
from mmopt.metabolism.pfba import LabelProgram
from mmopt.surrogate.surrogate import Surrogate, load_surrogate


@pytest.fixture(scope="session")
def textbook() -> Network:
    return read_network("textbook")


@pytest.fixture(scope="session")
def ijo1366() -> Network:
    return read_network("iJO1366")


@pytest.fixture(scope="session")
def surrogate() -> Surrogate:
    return load_surrogate("ecoli_ijo1366")


@pytest.fixture(scope="session")
def plant(ijo1366: Network, surrogate: Surrogate) -> LabelProgram:
    """The linear program of iJO1366, with the inputs of the shipped surrogate."""
    return LabelProgram(ijo1366, surrogate.inputs)
