"""Training and held-out items, and the weights that the network starts from."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from torch import nn

from vott_trainer.data.repeat_factors import Oversampled, repeat_factors
from vott_trainer.learning import initial_weights
from vott_trainer.learning.initial_weights import Weights
from vott_trainer.plugin_api import Data, Run
from vott_trainer.vision.architecture_parameters import ArchitectureParameters
from vott_trainer.vision.efficientnet_lite import freeze_first_layers


@dataclass(frozen=True)
class InitialData(Data):
    """Data with the initial weights, None for random ones."""

    initial: Weights | None = None

    @classmethod
    def of(
        cls,
        run: Run,
        parameters: ArchitectureParameters,
        training: Sequence[Any],
        held_out: Sequence[Any],
        labels: list[str],
        *,
        classes: Sequence[Collection[str]],
        counts: Mapping[str, Any],
    ) -> Self:
        """Find the initial weights of the architecture, and let items with rare classes be trained on more often.

        Args:
            classes: those of each training item.
            counts: for the report, besides those of the items.

        Raises:
            InvalidParametersError: there are no such weights, or they are of another architecture.
        """
        initial = parameters.find_weights(run, labels)
        return cls(
            Oversampled(training, repeat_factors(classes)),
            held_out,
            labels,
            {"trainingImages": len(training), "heldOutImages": len(held_out), **counts},
            parameters.network.backbone if initial else (),
            initial,
        )

    def initialized(self, model: nn.Module, parameters: ArchitectureParameters) -> nn.Module:
        """Copy the initial weights into a network with random ones. Its first layers then keep them.

        Raises:
            InvalidParametersError: they do not fit.
        """
        initial_weights.initialize(model, self.initial, self.labels, parameters.network.heads)
        if self.initial:
            freeze_first_layers(model)
        return model
