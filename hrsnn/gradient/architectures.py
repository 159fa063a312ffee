"""Feed-forward networks for images: lists of layers, known networks by name, and what such a list is wired to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from hrsnn.checks import check_integer

__all__ = [
    "ARCHITECTURES",
    "Convolution",
    "Dense",
    "Dropout",
    "Input",
    "Pooling",
    "Population",
    "Residual",
    "Step",
    "architecture",
    "wired",
]

Shape: TypeAlias = tuple[int, ...]


@dataclass(frozen=True)
class Convolution:
    """Neurons that a convolution drives, without bias; the border is filled with zeros, half a kernel wide.

    Parameters
    ----------
    channels : int
    kernel : int
        Width and height, odd.
    stride : int
    """

    channels: int
    kernel: int = 3
    stride: int = 1

    def __post_init__(self) -> None:
        for name in ("channels", "kernel", "stride"):
            check_integer(f"Convolution: {name}", getattr(self, name), 1)
        if self.kernel % 2 == 0:
            raise ValueError(f"Convolution: kernel must be odd, got {self.kernel}.")


@dataclass(frozen=True)
class Dense:
    """Neurons that all values of the layer before drive, without bias."""

    n_neurons: int

    def __post_init__(self) -> None:
        check_integer("Dense: n_neurons", self.n_neurons, 1)


@dataclass(frozen=True)
class Pooling:
    """Means over squares of ``size`` by ``size`` values, without neurons; what is left at the border is dropped."""

    size: int = 2

    def __post_init__(self) -> None:
        check_integer("Pooling: size", self.size, 2)


@dataclass(frozen=True)
class Dropout:
    """Values that are left out of a batch of the training, the same in all its time steps; the others are raised."""

    rate: float = 0.2

    def __post_init__(self) -> None:
        if not 0 <= self.rate < 1:
            raise ValueError(f"Dropout: rate must be in [0, 1), got {self.rate!r}.")


@dataclass(frozen=True)
class Residual:
    """A basic block: two layers of 3x3 convolutions, and a shortcut from the block's input to the second.

    The shortcut is the identity, or a 1x1 convolution where channels or stride change.
    """

    channels: int
    stride: int = 1

    def __post_init__(self) -> None:
        check_integer("Residual: channels", self.channels, 1)
        check_integer("Residual: stride", self.stride, 1)


Layer: TypeAlias = Convolution | Dense | Pooling | Dropout | Residual


@dataclass(frozen=True)
class Step:
    """One linear step between populations: a layer's map, the number of its weights if it has some, and its shapes."""

    layer: Convolution | Dense | Pooling | Dropout
    weights: int | None
    before: Shape
    after: Shape

    @property
    def weight_shape(self) -> Shape:
        """Shape of the weights: (height, width, from, to) of a convolution, (from, to) of a dense layer."""
        if isinstance(self.layer, Convolution):
            return (self.layer.kernel, self.layer.kernel, self.before[2], self.after[2])
        return (_size(self.before), self.after[0])

    @property
    def operations(self) -> int:
        """Multiplications and additions of the map: eqs. 5.18 and 5.19."""
        if isinstance(self.layer, Convolution):
            return self.layer.kernel**2 * self.before[2] * _size(self.after)
        return _size(self.before) * _size(self.after) if isinstance(self.layer, Dense) else 0


@dataclass(frozen=True)
class Input:
    """What drives a population: another one (-1 for the image), through linear steps."""

    source: int
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Population:
    """Neurons of one threshold and leak; their drive is the sum over ``inputs``.

    ``in_block`` tells that they are of a residual block.
    """

    shape: Shape
    inputs: tuple[Input, ...]
    in_block: bool = False

    @property
    def n_neurons(self) -> int:
        """How many they are."""
        return _size(self.shape)

    @property
    def operations(self) -> int:
        """Multiplications and additions that compute the drive once."""
        return sum(step.operations for entry in self.inputs for step in entry.steps)


def wired(layers: Sequence[Layer], shape: Shape, n_outputs: int) -> list[Population]:
    """Return the populations of a list of layers, in order; the last is the output, dense.

    Parameters
    ----------
    layers : sequence of Convolution, Dense, Pooling, Dropout or Residual
    shape : tuple of int
        Height, width and channels of an image.
    n_outputs : int
        Neurons of the output.

    Raises
    ------
    ValueError
        If a layer does not fit what is before it.
    TypeError
        If something else is in the list.
    """
    populations: list[Population] = []
    count = iter(range(10**6))
    source, path, now = -1, (), tuple(shape)  # type: tuple[int, tuple[Step, ...], Shape]

    def weighted(layer: Convolution | Dense, before: Shape) -> Step:
        return Step(layer, next(count), before, _after(layer, before))

    def populate(*inputs: Input, in_block: bool = False) -> None:
        populations.append(Population(inputs[0].steps[-1].after, inputs, in_block))

    for layer in [*layers, Dense(n_outputs)]:
        if isinstance(layer, (Convolution, Dense)):
            populate(Input(source, (*path, weighted(layer, now))))
        elif isinstance(layer, Residual):
            first = weighted(Convolution(layer.channels, stride=layer.stride), now)
            populate(Input(source, (*path, first)), in_block=True)
            second = weighted(Convolution(layer.channels), first.after)
            shortcut = path
            if first.after != now:
                shortcut = (*path, weighted(Convolution(layer.channels, 1, layer.stride), now))
            populate(Input(len(populations) - 1, (second,)), Input(source, shortcut), in_block=True)
        elif isinstance(layer, (Pooling, Dropout)):
            path = (*path, Step(layer, None, now, _after(layer, now)))
            now = path[-1].after
            continue
        else:
            raise TypeError(
                f"layers may be Convolution, Dense, Pooling, Dropout and Residual of hrsnn.gradient, got {layer!r}."
            )
        source, path, now = len(populations) - 1, (), populations[-1].shape
    if len(populations) < 2:
        raise ValueError("layers must hold at least one layer of neurons: a Convolution, Dense or Residual.")
    return populations


def architecture(name: str) -> list[Layer]:
    """Return the layers of a network by name, without its output.

    Parameters
    ----------
    name : str
        One of ``ARCHITECTURES``: those of the source's tables for images of 32x32 pixels, and "small", a network of
        0.08 million weights for images of 28x28 that a processor trains in minutes.

    References
    ----------
    .. [1] Rathi (2021), sections 4.4 and 5.4, tables 4.1 and 5.1. Numbers count layers with weights, the output
       among them. Channels and dense layers of VGG6 and VGG16 give the shares of the first layer's operations of
       table 5.3 (0.029, 0.005); the source does not print them, nor those of the other networks.
    """
    if name not in ARCHITECTURES:
        raise ValueError(f"architecture must be one of {', '.join(ARCHITECTURES)}, got {name!r}.")
    return list(ARCHITECTURES[name])


def _vgg(plan: str, dense: Sequence[int]) -> tuple[Layer, ...]:
    """Return a network of 3x3 convolutions by a plan of channels, A (pooling) and D (dropout), and dense layers."""
    named: dict[str, Layer] = {"A": Pooling(2), "D": Dropout(0.2)}
    features = [named.get(word) or Convolution(int(word)) for word in plan.split()]
    return (*features, *(layer for n in dense for layer in (Dense(n), Dropout(0.2))))


def _resnet(blocks: Sequence[tuple[int, int]]) -> tuple[Layer, ...]:
    """Return three plain convolutions with dropout between (figure 4.2), pooling, blocks of (channels, stride)."""
    front = _vgg("64 D 64 D 64 A", ())
    return (*front, *(Residual(channels, stride) for channels, stride in blocks))


ARCHITECTURES: dict[str, tuple[Layer, ...]] = {
    "small": (
        Convolution(16, stride=2),
        Convolution(32),
        Pooling(2),
        Dropout(0.1),
        Convolution(48),
        Pooling(2),
        Dropout(0.1),
        Dense(128),
        Dropout(0.2),
    ),
    "VGG5": _vgg("64 A 128 D 128 A", (1024,)),
    "VGG6": _vgg("64 A 128 D 128 A", (256, 256)),
    "VGG9": _vgg("64 A 128 D 128 A 256 D 256 A 512 D 512 D", (1024,)),
    "VGG11": _vgg("64 A 128 D 256 A 512 D 512 A 512 D 512 A 512 D 512 D", (4096,)),
    "VGG16": _vgg("64 D 64 A 128 D 128 A 256 D 256 D 256 A 512 D 512 D 512 A 512 D 512 D 512", (4096, 4096)),
    "ResNet8": _resnet([(128, 2), (256, 2)]),
    "ResNet20": _resnet([(64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1)]),
}


def _after(layer: Convolution | Dense | Pooling | Dropout, before: Shape) -> Shape:
    """Return the shape behind a layer."""
    if isinstance(layer, Dense):
        return (layer.n_neurons,)
    if isinstance(layer, Dropout):
        return before
    if len(before) != 3:
        raise ValueError(f"{layer} needs an image of height, width and channels, but is behind a Dense layer.")
    height, width, channels = before
    if isinstance(layer, Convolution):
        return (-(-height // layer.stride), -(-width // layer.stride), layer.channels)
    if min(height, width) < layer.size:
        raise ValueError(f"{layer} does not fit into the {height} x {width} values before it: leave it out.")
    return (height // layer.size, width // layer.size, channels)


def _size(shape: Shape) -> int:
    n = 1
    for length in shape:
        n *= length
    return n
