"""The first 99 % on digits within seconds.

A network a fifth as large as the final one, and 180,000 images: each digit three times. The
outermost two pixels on each side are cut off; the first convolution, which has the most pixels, has
stride 2 and no batch normalization; and all steps run in one compiled loop: stochastic gradient
descent with Nesterov momentum, label smoothing, and a learning rate that rises to 0.6 and falls
again. The recipe was chosen on 10,000 images held out of the official training images, after two
earlier ones had been tested: they reached 98.99 and 99.19 % in the mean of ten seeds.
"""

import keras
from keras import layers

from cnnlab import runtime
from cnnlab.training.compiled_loop import Schedule, train_in_one_loop

EXAMPLES = 1000 if runtime.in_smoke() else 180_000


def network():
    """Build the quick network, which returns logits of ten digits."""
    pixels = keras.Input((28, 28, 1))
    x = layers.Cropping2D(2)(layers.Rescaling(1 / 255)(pixels))  # 24, 24, 1
    x = layers.ReLU()(layers.Conv2D(24, 4, strides=2)(x))  # 11, 11, 24
    for filters, stride in ((32, 2), (64, 1)):
        x = layers.Conv2D(filters, 3, strides=stride, use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.ReLU()(x)  # 5, 5, 32 → 3, 3, 64
    return keras.Model(pixels, layers.Dense(10)(layers.Flatten()(x)))


def train(dataset, seed):
    """Train the quick network on a `splits.Dataset` of digits; returns it and the steps."""
    keras.utils.set_random_seed(seed)
    model = network()
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.05)
    targets = keras.utils.to_categorical(dataset.train.labels, 10)
    schedule = Schedule(EXAMPLES, batch_size=256, learning_rate=0.6, seed=seed)
    return model, train_in_one_loop(model, dataset.train.images, targets, loss, schedule)
