"""Options of the stages of a study: the table of fluxes, the training, the closed loop, starvation."""

from dataclasses import field
from typing import Literal

from mmopt.checking import Count, Finite, LimitPair, NotNegative, Positive, Seed, checked
from mmopt.control.batches import ESTIMATORS, KALMAN_FILTER
from mmopt.control.plant import Sampling
from mmopt.errors import StudyError
from mmopt.surrogate.surrogate import ACTIVATIONS
from mmopt.training.added_points import POINTS
from mmopt.training.output_layers import Basis
from mmopt.training.train import HIDDEN, STARTS, TRAINER, TRAINERS
from mmopt.training.train_to_error import WANTED


@checked
class TableOptions:
    """Options of the table of fluxes that a surrogate is trained with.

    Parameters
    ----------
    size
        Number of points.
    seed
        Seed of the design of inputs.
    source
        ``atlas``: fluxes from the critical regions, which are explored first. ``program``: from the linear program alone.
        The fluxes are the same.

    Raises
    ------
    StudyError
        If a value is of the wrong type or out of range.

    Examples
    --------
    >>> TableOptions(size=512).source
    'atlas'
    """

    size: Count = POINTS
    seed: Seed = 0
    source: Literal["atlas", "program"] = "atlas"


@checked
class TrainingOptions:
    """Options of the training of a surrogate.

    Parameters
    ----------
    hidden
        Width of every hidden layer.
    activation
        Activation of the hidden layers.
    basis
        What the output layer combines, as of `train`.
    iterations
        Iterations or epochs; by default those of the trainer.
    starts
        Number of initial guesses of the fit.
    seed
        Seed of the initial guesses.
    wanted
        Largest error that is accepted anywhere, as a fraction of a range, or one for every reading by name, as of
        `train_to_error`; None trains once.
    trainer
        ``levenberg_marquardt`` or ``keras``.
    switches
        Turn off the uptake of what is not there by fixed units, as of `train`.

    Raises
    ------
    StudyError
        If a value is of the wrong type or out of range, or there is no such activation or trainer.

    Examples
    --------
    >>> TrainingOptions(activation="relu")
    Traceback (most recent call last):
    mmopt.errors.StudyError: activation 'relu' is unknown or not smooth; give one of tanh, softplus, sigmoid
    """

    hidden: tuple[Count, ...] = HIDDEN
    activation: str = "tanh"
    basis: Basis = "conic"
    iterations: Count | None = None
    starts: Count = STARTS
    seed: Seed = 0
    wanted: Positive | dict[str, Positive] | None = WANTED
    trainer: str = TRAINER
    switches: bool = False

    def __post_init__(self) -> None:
        if not self.hidden:
            raise StudyError("hidden is empty; give the width of one layer or more")
        smooth = [name for name in ACTIVATIONS if name != "linear"]
        if self.activation not in smooth:
            raise StudyError(
                f"activation '{self.activation:.60}' is unknown or not smooth; give one of {', '.join(smooth)}"
            )
        if self.trainer not in TRAINERS:
            raise StudyError(f"trainer '{self.trainer:.60}' is unknown; give one of {', '.join(TRAINERS)}")

    @property
    def steps(self) -> int:
        """Iterations, or the trainer's own number of them."""
        return TRAINERS[self.trainer].iterations if self.iterations is None else self.iterations


@checked
class ClosedLoopOptions:
    """Options of the closed loop: measurements, differences of the plant, and the limits that the controller aims at.

    Parameters
    ----------
    noise
        Standard deviation of the measurement by measured quantity, in its unit: a state, or what the system derives.
    interval
        Sampling interval [h].
    disturbance
        Parameters of the plant that differ from those that the controller assumes.
    estimated
        Drift of estimated parameters in the square root of an hour, relative to their value.
    limits
        Limits that the controller aims at in place of the problem's.
    seed
        Seed of the noise.
    batches
        Batches of a campaign, which differ in their noise; None for no campaign. The plant has the exact fluxes.
    workers
        Processes of the campaign.
    sampling
        When a measured quantity is sampled, and how late its value arrives; by default at every move, at once.
    estimator
        ``kalman_filter`` or ``moving_horizon``.
    scenarios
        Parameters that may differ from the problem's, a mapping for each case; the controller keeps the limits in all of them.
    robust_horizon
        Time from each move for which all cases share their controls [h]; by default one interval.
    advanced_step
        Whether the controller solves ahead and corrects the plan when the sample arrives.
    time_limit
        Longest time of a step [s].
    hours
        How long a controller with a receding horizon runs [h]; the horizon of the problem is then what each step looks ahead.
        None for a horizon that shrinks with the batch.

    Raises
    ------
    StudyError
        If a value is of the wrong type or out of range.

    Examples
    --------
    >>> ClosedLoopOptions(noise={"biomass": 0.2}, disturbance={"kla": 255.0}).interval
    0.5
    """

    noise: dict[str, Positive]
    interval: Positive = 0.5
    disturbance: dict[str, Finite] = field(default_factory=dict)
    estimated: dict[str, Positive] = field(default_factory=dict)
    limits: dict[str, LimitPair] = field(default_factory=dict)
    seed: Seed = 0
    batches: Count | None = None
    workers: Count = 2
    sampling: dict[str, Sampling] = field(default_factory=dict)
    estimator: str = KALMAN_FILTER
    scenarios: tuple[dict[str, Finite], ...] = ()
    robust_horizon: Positive | None = None
    advanced_step: bool = False
    time_limit: Positive = 20.0
    hours: Positive | None = None

    def __post_init__(self) -> None:
        if self.scenarios and self.advanced_step:
            raise StudyError("advanced_step moves one optimum; leave it or the scenarios out")
        if self.estimator not in ESTIMATORS:
            raise StudyError(f"estimator '{self.estimator:.60}' is unknown; give one of {', '.join(ESTIMATORS)}")


@checked
class StarvationOptions:
    """Options of the simulation in which the feed stops.

    Parameters
    ----------
    feed
        Value of every control until then, in its unit.
    feed_stops
        Time at which it becomes zero [h].
    hours
        Length of the simulation [h].

    Raises
    ------
    StudyError
        If a value is of the wrong type or out of range.

    Examples
    --------
    >>> StarvationOptions(feed=0.005, feed_stops=5.0, hours=8.0).hours
    8.0
    """

    feed: NotNegative
    feed_stops: Positive
    hours: Positive
