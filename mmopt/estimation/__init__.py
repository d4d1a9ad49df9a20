"""Estimation of states and parameters: what sensors show, the extended Kalman filter, and windows of past measurements."""

__all__: list[str] = []
