"""Losses over more examples than an encoder fits at once: gradient caching (Gao et al., 2021)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from negmine._core.options import check_integer, refuse_unknown_options
from negmine.errors import NegmineTypeError, NegmineValueError

__all__ = ["cached"]

T = TypeVar("T")

Encoder = Callable[[Any], Tensor]


@refuse_unknown_options("cached")
def cached(loss: Callable[..., T], encode: Encoder | Sequence[Encoder], chunk: int) -> Callable[..., T]:
    """Make a loss of inputs from a loss of embeddings, with the activations of one chunk in memory at a time.

    Inputs are encoded in chunks whose activations are not kept; the loss sees the embeddings of all inputs at once; and
    ``backward`` encodes each chunk again. Loss and gradients are those of one pass over all inputs, for one more
    forward pass of time.

    Parameters
    ----------
    loss : callable
        Function of embeddings, one tensor per input, that returns a loss, or a loss with counts. Its reduction is over
        all examples, not over those of a chunk.
    encode : callable or sequence of callable
        Function of a chunk of an input that returns its embeddings, one row per example; or one function per input.
    chunk : int
        Number of examples that are encoded at once.

    Returns
    -------
    callable
        Function of inputs that returns what ``loss`` returns. An input is a tensor, a mapping of tensors such as a
        tokenizer's output, or a list such as of texts; its examples are along the first dimension.

    Raises
    ------
    NegmineTypeError
        An argument has a type that is not accepted.
    NegmineValueError
        ``chunk`` is below 1; in a call: the number of inputs is not that of the encoders, the tensors of a mapping are
        of different lengths, or an encoder does not return one row per example.

    Notes
    -----
    Gao et al., "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup", RepL4NLP 2021. Before a chunk
    is encoded again, the states of torch's generators that it saw are restored, so dropout repeats itself; the states
    are then set back, so what comes after ``backward`` does not depend on it. Autocast is that of the first pass.
    Modules that count their calls, such as batch normalization in training, see every chunk twice.

    The loss itself may hold all scores of a batch. For a large one, use [`bank`][], which holds a tile.

    Examples
    --------
    >>> import torch
    >>> from negmine.torch.losses import cached, listwise
    >>> encoder = torch.nn.Linear(8, 4)
    >>> compute = cached(lambda q, d: listwise(q @ d.T, torch.arange(len(q))), encoder, chunk=16)
    >>> loss = compute(torch.randn(100, 8), torch.randn(100, 8))
    >>> loss.backward()
    >>> encoder.weight.grad.shape
    torch.Size([4, 8])
    """
    if not callable(loss):
        raise NegmineTypeError(f"`loss` must be callable; got {type(loss).__name__}.")
    several = isinstance(encode, Sequence)
    encoders: list[Any] = list(encode) if isinstance(encode, Sequence) else [encode]
    for encoder in encoders:
        if not callable(encoder):
            raise NegmineTypeError(f"`encode` must be callable, or a list of callables; got {type(encoder).__name__}.")
    size = check_integer(chunk, "chunk", least=1)

    def compute(*inputs: Any) -> T:  # noqa: ANN401 (batches of any kind)
        if several and len(inputs) != len(encoders):
            raise NegmineValueError(f"`inputs` must be {len(encoders)}, one per encoder; got {len(inputs)}.")
        own = encoders if several else encoders * len(inputs)
        return loss(*(_embeddings(encoder, batch, size) for encoder, batch in zip(own, inputs, strict=True)))

    return compute


def _embeddings(encoder: Encoder, batch: object, size: int) -> Tensor:
    """Encode a batch in chunks, each to be encoded again when its gradient is needed."""
    n = _length(batch)
    found = []
    for begin in range(0, max(n, 1), size):
        part = _part(batch, begin, min(begin + size, n))
        made: Tensor = checkpoint(
            encoder,
            part,
            use_reentrant=False,
            preserve_rng_state=False,  # torch's own looks for devices in tensors only, and `part` may be texts
            context_fn=partial(_same_draws, encoder, part),
        )
        if not isinstance(made, Tensor):
            raise NegmineTypeError(f"`encode` must return a tensor; got {type(made).__name__}.")
        rows = min(begin + size, n) - begin
        if made.ndim == 0 or len(made) != rows:
            raise NegmineValueError(f"`encode` must return one row per example, {rows}; got shape {tuple(made.shape)}.")
        found.append(made)
    return torch.cat(found)


def _length(batch: object) -> int:
    """Return the number of examples of an input."""
    if isinstance(batch, Mapping):
        sizes = {name: len(value) for name, value in batch.items() if isinstance(value, Tensor) and value.ndim}
        if len(sizes) < len(batch) or not sizes:
            raise NegmineTypeError("`inputs` must be mappings of tensors; got one with other values, or without any.")
        if len(set(sizes.values())) > 1:
            raise NegmineValueError(f"`inputs` must have tensors of one length per mapping; got {sizes}.")
        return next(iter(sizes.values()))
    if isinstance(batch, list) or (isinstance(batch, Tensor) and batch.ndim):
        return len(batch)
    raise NegmineTypeError(f"`inputs` must be tensors, mappings of tensors, or lists; got {type(batch).__name__}.")


def _part(batch: Any, begin: int, end: int) -> Any:  # noqa: ANN401
    if isinstance(batch, Mapping):
        return {name: value[begin:end] for name, value in batch.items()}
    return batch[begin:end]


def _same_draws(encoder: object, part: object) -> tuple[_FirstPass, _LaterPass]:
    """Return the contexts of the first and of later passes over a chunk, which see the generators as the first did."""
    first = _FirstPass(_devices(encoder, part))
    return first, _LaterPass(first)


class _FirstPass:
    """Keep the states of the generators at the start of a block."""

    def __init__(self, devices: list[torch.device]) -> None:
        self.devices = devices
        self.states: list[Tensor] = []

    def __enter__(self) -> None:
        self.states = _states(self.devices)

    def __exit__(self, *_: object) -> None:
        pass


class _LaterPass:
    """Restore the states of a first pass in a block, and set them back after it.

    A retained graph runs the block at every backward pass, so a generator that runs once would not do.
    """

    def __init__(self, first: _FirstPass) -> None:
        self.first = first
        self.now: list[Tensor] = []

    def __enter__(self) -> None:
        self.now = _states(self.first.devices)
        _restore(self.first.devices, self.first.states)

    def __exit__(self, *_: object) -> None:
        _restore(self.first.devices, self.now)


def _devices(encoder: object, part: object) -> list[torch.device]:
    """Find the devices other than the CPU on which an encoder may draw."""
    tensors = list(part.values()) if isinstance(part, Mapping) else [part]
    if isinstance(encoder, nn.Module):
        tensors += encoder.parameters()
    found = {
        value.device for value in tensors if isinstance(value, Tensor) and value.device.type not in ("cpu", "meta")
    }
    # Texts are moved to a device inside the encoder: the current one, if it is in use.
    accelerator = getattr(torch, "accelerator", None)
    current = torch.device("cuda") if accelerator is None else accelerator.current_accelerator()
    module = None if current is None else getattr(torch, current.type, None)
    if module is not None and getattr(module, "is_initialized", lambda: False)():
        found.add(torch.device(current.type, module.current_device()))
    return sorted(found, key=str)


def _states(devices: list[torch.device]) -> list[Tensor]:
    """Return the states of the generators of the CPU and of devices."""
    others = [_generators(device).get_rng_state(*_index(device)) for device in devices]
    return [torch.get_rng_state(), *others]


def _restore(devices: list[torch.device], states: list[Tensor]) -> None:
    torch.set_rng_state(states[0])
    for device, state in zip(devices, states[1:], strict=True):
        _generators(device).set_rng_state(state, *_index(device))


def _generators(device: torch.device) -> Any:  # noqa: ANN401 (a module of torch)
    return getattr(torch, device.type)


def _index(device: torch.device) -> tuple[torch.device, ...]:
    """Return the argument that names a device; MPS has one device, and no argument."""
    return () if device.type == "mps" else (device,)
