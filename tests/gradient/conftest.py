"""What tests of networks trained by gradients share."""

import pytest

from hrsnn.gradient import Training


@pytest.fixture
def killed_at_the_second_checkpoint(monkeypatch):
    """Raise ``KeyboardInterrupt`` after the second checkpoint of a training; a call of the fixture ends that."""
    write, calls = Training.fit.__globals__["statefile"].write, []

    def killed(*arguments):
        write(*arguments)
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("hrsnn.gradient.training.statefile.write", killed)
    return monkeypatch.undo
