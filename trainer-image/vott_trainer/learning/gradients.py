"""The gradients of all processes, averaged while the backward pass still makes others.

This is what DistributedDataParallel does, with one difference: a process whose memory runs out in the middle of the pass still takes its
part in the averaging. So no other one waits in vain for it, and all of them can take the same step again.
"""

from typing import Protocol

import torch
from torch import Tensor, distributed, nn
from torch.futures import Future

from vott_trainer.learning import group

BUCKET_BYTES = 25 << 20  # as many at once as DistributedDataParallel sends


class Gradients(Protocol):
    """What is to be done with the gradients of one step."""

    def expect(self) -> None:
        """The next backward pass makes them complete."""

    def finish(self) -> None:
        """Return when those of all processes are averaged; where there are none here, they count as zero."""

    def take(self) -> None:
        """Put the averages in the place of this process' own gradients."""


def of(model: nn.Module) -> Gradients:
    """Return the gradients of the model; with several processes all of them call this, and get the weights of rank 0."""
    return _Shared(model) if distributed.is_initialized() else _Own()


class _Own:
    """Those of a process alone are complete as they are."""

    def expect(self) -> None:
        """Nothing to do."""

    def finish(self) -> None:
        """Nothing to wait for."""

    def take(self) -> None:
        """They are in their place."""


class _Bucket:
    """Parameters whose gradients travel together, in memory that is theirs for good: it can't be missing later."""

    def __init__(self, parameters: list[nn.Parameter]) -> None:
        self.parameters, self.missing = parameters, set(parameters)
        self._flat = torch.zeros(
            sum(p.numel() for p in parameters), dtype=parameters[0].dtype, device=parameters[0].device
        )
        pieces = torch.split(self._flat, [p.numel() for p in parameters])
        self.views = [piece.view(p.shape) for piece, p in zip(pieces, parameters, strict=True)]
        self._sent: Future[list[Tensor]] | None = None

    def send(self) -> None:
        for parameter, view in zip(self.parameters, self.views, strict=True):
            if parameter.grad is None:
                view.zero_()
            else:
                torch.div(parameter.grad, group.size(), out=view)
        self._sent = distributed.all_reduce(self._flat, async_op=True).get_future()

    def wait(self) -> None:
        if self._sent:
            self._sent.wait()
        self._sent, self.missing = None, set(self.parameters)


class _Shared:
    """Those of several processes. Buckets are sent in the same order everywhere, however the processes come to make them."""

    def __init__(self, model: nn.Module) -> None:
        _take_from_first(model)
        parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self._buckets = [_Bucket(some) for some in _divided(parameters[::-1])]  # the last layer's are made first
        self._bucket_of = {parameter: bucket for bucket in self._buckets for parameter in bucket.parameters}
        self._sent, self._expected = 0, False
        for parameter in parameters:
            parameter.register_post_accumulate_grad_hook(self._made)  # type: ignore[no-untyped-call]

    def expect(self) -> None:
        self._expected = True

    def finish(self) -> None:
        self._expected = False
        self._send(len(self._buckets))
        for bucket in self._buckets:
            bucket.wait()
        self._sent = 0

    def take(self) -> None:
        for bucket in self._buckets:
            for parameter, view in zip(bucket.parameters, bucket.views, strict=True):
                if parameter.grad is None:
                    parameter.grad = torch.empty_like(parameter)
                parameter.grad.copy_(view)

    def _made(self, parameter: Tensor) -> None:
        if not self._expected:
            return
        missing = self._bucket_of[parameter].missing  # type: ignore[index] # hooks are typed for any tensor
        if parameter not in missing:
            raise RuntimeError(
                "A gradient was made twice in one backward pass: reentrant checkpointing does not go with several GPUs."
            )
        missing.discard(parameter)
        whole = self._sent
        while whole < len(self._buckets) and not self._buckets[whole].missing:
            whole += 1
        self._send(whole)

    def _send(self, until: int) -> None:
        for bucket in self._buckets[self._sent : until]:
            bucket.send()
        self._sent = max(self._sent, until)


@torch.no_grad()
def _take_from_first(model: nn.Module) -> None:
    for tensor in [*model.parameters(), *model.buffers()]:
        flat = tensor.detach().contiguous()
        distributed.broadcast(flat, 0)
        tensor.copy_(flat)


def _divided(parameters: list[nn.Parameter]) -> list[list[nn.Parameter]]:
    """Return the parameters in lists of one type and device, none much larger than a bucket."""
    lists: list[list[nn.Parameter]] = []
    room = 0
    for parameter in parameters:
        alike = lists and (lists[-1][0].dtype, lists[-1][0].device) == (parameter.dtype, parameter.device)
        if not alike or room <= 0:
            lists.append([])
            room = BUCKET_BYTES
        lists[-1].append(parameter)
        room -= parameter.numel() * parameter.element_size()
    return lists
