"""One training loop for all networks: mini-batches, Optax, early stopping, checkpoints, and a stop at the first NaN."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from tqdm import tqdm

from hrsnn.checks import check_integer, check_seed
from hrsnn.simulation import statefile
from hrsnn.streams import Gradients, stream

__all__ = ["Diverged", "Training", "UnhealthyLayer"]

Batch = Mapping[str, Any]
#: (weights, batch, random key) to the mean loss, and further means by name. ``batch["mask"]`` is 0 for filled rows.
Loss = Callable[[Any, Batch, Any], tuple[Any, dict[str, Any]]]


class Diverged(FloatingPointError):
    """The loss became NaN or infinite; the message says when, and where the last good weights are."""


class UnhealthyLayer(UserWarning):
    """A layer does not fire, or fires without end."""


@dataclass(frozen=True)
class Training:
    """How to train: the same for every network.

    Parameters
    ----------
    n_epochs : int
        Passes through the training samples.
    batch_size : int
    learning_rate : float
        Of Adam; the highest of the schedule.
    schedule : {"cosine", "constant"}
        Whether the rate falls to zero over the training.
    clip : float, optional
        Largest norm of the gradient of a batch; no limit if None.
    patience : int, optional
        Epochs without a better validation loss after which training ends; never if None.
    checkpoint : path, optional
        HDF5 file that keeps the state after every epoch. The same call goes on from it, to the same weights as if
        never interrupted.
    seed : int
        Seed of the order of the samples.
    """

    n_epochs: int = 20
    batch_size: int = 64
    learning_rate: float = 3e-3
    schedule: str = "cosine"
    clip: float | None = 1.0
    patience: int | None = None
    checkpoint: str | os.PathLike[str] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        check_integer("n_epochs", self.n_epochs, 1)
        check_integer("batch_size", self.batch_size, 1)
        check_seed(self.seed)
        if self.patience is not None:
            check_integer("patience", self.patience, 1)
        if not 0 < self.learning_rate < np.inf:
            raise ValueError(f"learning_rate must be positive and finite, got {self.learning_rate!r}.")
        if self.clip is not None and not 0 < self.clip < np.inf:
            raise ValueError(f"clip must be positive and finite, or None, got {self.clip!r}.")
        if self.schedule not in ("cosine", "constant"):
            raise ValueError(f"schedule must be 'cosine' or 'constant', got {self.schedule!r}.")

    def optimizer(self, n_steps: int) -> optax.GradientTransformation:
        """Return the optimiser of a training of so many batches."""
        rate: Any = self.learning_rate
        if self.schedule == "cosine":
            rate = optax.cosine_decay_schedule(self.learning_rate, n_steps)
        clip = [optax.clip_by_global_norm(self.clip)] if self.clip is not None else []
        return optax.chain(*clip, optax.adam(rate))

    def fit(
        self, loss: Loss, weights: Any, data: Batch, held_out: Batch | None = None, key: str = ""
    ) -> tuple[Any, list[dict[str, float]]]:
        """Train.

        Parameters
        ----------
        loss : callable
            Of (weights, batch, random key): the mean loss of a batch, and further means by name. Those that begin
            with ``spikes`` are spikes of a neuron in a time step, of a layer.
        weights : pytree of arrays
            Where to start.
        data, held_out : mapping of str to array
            Training samples, and those that judge an epoch; the first axis is that of samples.
        key : str
            What decides the result beside the data, for the checkpoint.

        Returns
        -------
        weights, history
            Those of the epoch with the lowest loss on ``held_out`` (of the last one without it), and the means of
            each epoch.

        Raises
        ------
        Diverged
            If the loss is no number; the checkpoint is that of the last good epoch.
        """
        n = len(data["mask"])
        n_batches = -(-n // self.batch_size)
        optimizer = self.optimizer(n_batches * self.n_epochs)
        state = _State(weights, optimizer.init(weights), weights)
        started = {f"weights_{k}": np.asarray(leaf) for k, leaf in enumerate(jax.tree.leaves(weights))}
        key = statefile.fingerprint([key, self._decisive()], _joined({**data, **started}))
        history = state.restore(self.checkpoint, key)

        @jax.jit
        def update(weights: Any, memory: Any, batch: Batch, random: Any) -> Any:
            (value, means), slopes = jax.value_and_grad(loss, has_aux=True)(weights, batch, random)
            changes, memory = optimizer.update(slopes, memory, weights)
            return optax.apply_updates(weights, changes), memory, {"loss": value, **means}

        judge = jax.jit(lambda weights, batch, random: _with_loss(loss(weights, batch, random)))
        bar = tqdm(range(len(history), self.n_epochs), "training", unit="epoch", disable=None)
        for epoch in bar:
            if self._is_over(history):
                break
            order = stream(self.seed, Gradients.ORDER, epoch).permutation(n)
            seen = []
            for number, rows in enumerate(np.array_split(order, range(self.batch_size, n, self.batch_size))):
                random = jax.random.fold_in(jax.random.fold_in(jax.random.key(self.seed), epoch), number)
                batch = _batch(data, rows, self.batch_size)
                state.weights, state.memory, means = update(state.weights, state.memory, batch, random)
                seen.append((len(rows), means))
                if not np.isfinite(float(means["loss"])):
                    raise Diverged(self._diverged(epoch, number, n_batches, len(history)))
            line = {"epoch": epoch, **_mean(seen)}
            if held_out is not None:
                line |= {
                    f"held_out_{name}": value for name, value in _judged(judge, state.weights, held_out, self).items()
                }
                best = min((past["held_out_loss"] for past in history), default=np.inf)
                if line["held_out_loss"] < best:
                    state.best = state.weights
            else:
                state.best = state.weights
            history.append(line)
            bar.set_postfix({name: f"{value:.3g}" for name, value in line.items() if name != "epoch"})
            _warn_of_health(line, history)
            state.write(self.checkpoint, key, history)
        return state.best, history

    def _decisive(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "checkpoint"}

    def _is_over(self, history: list[dict[str, float]]) -> bool:
        """Tell whether the last ``patience`` epochs were no better than one before."""
        losses = [line.get("held_out_loss", 0.0) for line in history]
        return self.patience is not None and len(losses) - 1 - int(np.argmin(losses or [0.0])) >= self.patience

    def _diverged(self, epoch: int, number: int, n_batches: int, done: int) -> str:
        kept = f"The weights after epoch {done} are in {self.checkpoint}. " if self.checkpoint and done else ""
        return (
            f"The loss is not a number in epoch {epoch + 1}, batch {number + 1} of {n_batches}. {kept}"
            "Lower learning_rate or clip, or check the samples for values far out of range."
        )


@dataclass
class _State:
    """What a training carries from epoch to epoch."""

    weights: Any
    memory: Any
    best: Any

    def restore(self, path: Any, key: str) -> list[dict[str, float]]:
        """Go on from a checkpoint, if there is one; return the history."""
        found = statefile.resume(path, key)
        if found is None:
            return []
        arrays, settings = found
        leaves, structure = jax.tree.flatten((self.weights, self.memory, self.best))
        restored = [jnp.asarray(arrays[f"leaf_{k}"], leaf.dtype).reshape(leaf.shape) for k, leaf in enumerate(leaves)]
        self.weights, self.memory, self.best = jax.tree.unflatten(structure, restored)
        return settings["history"]

    def write(self, path: Any, key: str, history: list[dict[str, float]]) -> None:
        """Write a checkpoint, if one is wanted."""
        if path is not None:
            leaves = jax.tree.leaves((self.weights, self.memory, self.best))
            arrays = {f"leaf_{k}": np.asarray(leaf) for k, leaf in enumerate(leaves)}
            statefile.write(path, arrays, {"key": key, "history": history})


def _with_loss(result: Any) -> dict[str, Any]:
    value, means = result
    return {"loss": value, **means}


def _judged(judge: Any, weights: Any, data: Batch, training: Training) -> dict[str, float]:
    """Return the means over samples that are held out; their weights do not change."""
    n, size = len(data["mask"]), training.batch_size
    parts = [np.arange(start, min(start + size, n)) for start in range(0, n, size)]
    random = jax.random.key(training.seed)
    return _mean([(len(rows), judge(weights, _batch(data, rows, size), random)) for rows in parts])


def _batch(data: Batch, rows: np.ndarray, size: int) -> dict[str, np.ndarray]:
    """Return rows of all arrays, filled up to ``size`` with rows that the mask excludes."""
    filled = np.concatenate([rows, np.full(size - len(rows), rows[0])])
    batch = {name: values[filled] for name, values in data.items()}
    batch["mask"] = np.where(np.arange(size) < len(rows), batch["mask"], 0)
    return batch


def _mean(seen: list[tuple[int, dict[str, Any]]]) -> dict[str, float]:
    total = sum(n for n, _ in seen)
    return {name: sum(n * float(means[name]) for n, means in seen) / total for name in seen[0][1]}


def _joined(data: Batch) -> np.ndarray:
    """Return all bytes of some arrays, for a fingerprint."""
    parts = [np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8) for values in data.values()]
    return np.concatenate(parts)


def _warn_of_health(line: Mapping[str, float], history: list[Any]) -> None:
    """Warn, in the first epoch in which it is so, of a layer that is silent or saturated."""
    for name, value in line.items():
        if not name.startswith("spikes"):
            continue
        for wrong, what, advice in (
            (
                value == 0,
                "does not fire",
                "raise rate, lower learning_rate, or lower its threshold",
            ),
            (
                value > 0.5,
                "fires in more than half of the time steps",
                "lower rate or learning_rate, or make it refractory",
            ),
        ):
            before = history[-2][name] if len(history) > 1 else None
            was = before is not None and (before == 0 if value == 0 else before > 0.5)
            if wrong and not was:
                layer = name.removeprefix("spikes_")
                warnings.warn(
                    f"In epoch {int(line['epoch']) + 1} layer {layer} {what}: {advice}.", UnhealthyLayer, stacklevel=4
                )
