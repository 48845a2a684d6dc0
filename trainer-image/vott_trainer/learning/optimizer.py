"""The optimizer (AdamW), and gradient clipping."""

from collections import defaultdict
from collections.abc import Sequence

from torch import Tensor, nn
from torch.optim import AdamW

from vott_trainer.learning.learning_rate import PEAK

WEIGHT_DECAY = 0.05
PRETRAINED = 0.3  # factor on the learning rate of pretrained layers
MAX_GRADIENT_NORM = 10.0


def adamw(model: nn.Module, learning_rate: float, pretrained: Sequence[str] = ()) -> AdamW:
    """Return the optimizer of the parameters that require gradients.

    Normalization weights and biases do not decay: it would only pull them to zero, without making the network simpler.

    Args:
        learning_rate: the peak.
        pretrained: how the names of pretrained parameters begin; they change more slowly than new ones.
    """
    groups = defaultdict(list)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups[name.startswith(tuple(pretrained)), parameter.ndim > 1].append(parameter)
    rates = {True: learning_rate * PRETRAINED, False: learning_rate}
    return AdamW(
        [
            {"params": parameters, PEAK: rates[slow], "weight_decay": WEIGHT_DECAY if decays else 0.0}
            for (slow, decays), parameters in groups.items()
        ],
        lr=learning_rate,
    )


def clip_gradients(model: nn.Module) -> Tensor:
    """Clip the norm of all gradients together; return the norm before."""
    return nn.utils.clip_grad_norm_(model.parameters(), MAX_GRADIENT_NORM)
