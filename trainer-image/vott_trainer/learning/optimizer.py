"""The optimizer (AdamW), and gradient clipping."""

from torch import Tensor, nn
from torch.optim import AdamW

WEIGHT_DECAY = 0.01
MAX_GRADIENT_NORM = 10.0


def adamw(model: nn.Module, learning_rate: float) -> AdamW:
    """Return the optimizer; `learning_rate` is the peak."""
    return AdamW(model.parameters(), lr=learning_rate, weight_decay=WEIGHT_DECAY)


def clip_gradients(model: nn.Module) -> Tensor:
    """Clip the norm of all gradients together; return the norm before."""
    return nn.utils.clip_grad_norm_(model.parameters(), MAX_GRADIENT_NORM)
