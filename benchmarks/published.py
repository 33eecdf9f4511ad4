"""MedT the way it was published, as the thing to beat.

    python -m benchmarks.published

checks it against the golden numbers of the published code.

This is not the published code but ours, arranged like it: the readable modules, NCHW maps, every
norm and every product on its own, the L x L maps in memory, and one patch after the other through
the local branch. In training mode the batch norms see one patch position at a time, as theirs did.
"""

import torch
from torch import nn
from torch.nn import functional as F

from napari_medt.network import fused
from tests import published as golden


class Published(nn.Module):
    """A :class:`~napari_medt.network.networks.LoGoNet` run as published."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x, branches="both"):
        network = self.network
        with fused.readable():
            decoded = self.patches(x) if branches != "global" else 0
            if branches != "patch":
                decoded = decoded + network.global_branch(x)
        if branches != "both":
            decoded = 2 * decoded
        return network.head(F.relu(network.fuse(decoded)))

    def patches(self, x):
        size = self.network.config.patch_size
        rows = []
        for i in range(0, x.shape[2], size):
            row = [
                self.network.local_branch(x[:, :, i : i + size, j : j + size])
                for j in range(0, x.shape[3], size)
            ]
            rows.append(torch.cat(row, dim=3))
        return torch.cat(rows, dim=2)


def main():
    for architecture in ("medt", "logo"):
        network = Published(golden.network(architecture))
        with torch.no_grad():
            logits = network(golden.image())
        ours = torch.stack([logits[tuple(place)] for place in golden.GOLDEN["positions"]])
        theirs = ours.new_tensor(golden.GOLDEN["models"][architecture]["values"])
        print(f"{architecture}: {(ours - theirs).abs().max():.1e} from the published code")


if __name__ == "__main__":
    main()
