"""Surrogates from folders."""

from pathlib import Path

from mmopt.surrogate.surrogate import Surrogate
from mmopt.surrogate.surrogate_file import read_surrogate


def load_surrogate(source: str | Path) -> Surrogate:
    """Load a surrogate from a folder, or by the name of one that ships with mmopt.

    Parameters
    ----------
    source
        Folder that `Surrogate.save` wrote, or a name. Files from other people are safe: all content is checked, none is run.

    Returns
    -------
    Surrogate
        The surrogate.

    Raises
    ------
    SurrogateError
        If there is none, or its files are damaged, changed, too large, or hold anything but names and numbers.

    Examples
    --------
    >>> load_surrogate("ecoli_ijo1366").inputs
    ('EX_glc__D_e', 'EX_o2_e', 'EX_ac_e')
    """
    return Surrogate(**read_surrogate(source))
