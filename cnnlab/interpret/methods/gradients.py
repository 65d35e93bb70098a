"""How the score changes with each pixel, at the image or in the mean around it."""

import numpy as np

COPIES = 25  # noisy ones of each image
NOISE = 0.15  # their standard deviation, in parts of the range from black to white
SEED = 0


def gradients(scorer, images, targets):
    """Return (n, height, width), the largest gradient of each pixel's channels (Simonyan, 2014)."""
    return np.abs(scorer.gradients(images, targets)).max(axis=-1), [""] * len(images)


def smooth_grad(scorer, images, targets):
    """Return (n, height, width), the same of the mean of COPIES noisy images (Smilkov, 2017)."""
    random, total = np.random.default_rng(SEED), np.zeros(images.shape, np.float32)
    deviation = NOISE * np.abs(np.subtract(scorer.white, scorer.black))
    for _ in range(COPIES):
        # The same for each image, so that its map does not depend on the others.
        noise = (deviation * random.normal(size=images.shape[1:])).astype(np.float32)
        total += scorer.gradients(images + noise, targets)
    return np.abs(total / COPIES).max(axis=-1), [""] * len(images)
