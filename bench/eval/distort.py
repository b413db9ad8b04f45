# SPDX-License-Identifier: LGPL-2.1-or-later
"""What cameras meet, done to a photograph by Pillow and numpy: six kinds, each mild and strong.

night     light divided by 6 and by 24 (linear, gamma 2.2), then the sensor's noise: shot noise of 1,500 and 400 electrons at
          white, read noise of 4 electrons, and the camera's gain back up to 60 % of the old mean, noise included
rain      bright streaks of 1 px at 224 px, 8 degrees from upright: 60 and 240 of them, and contrast cut to 85 and 65 %
blur      Gaussian of 1.5 and 3.5 px at 224 px
jpeg      quality 15 and 5
rotation  by 10 and 25 degrees, cut to what stays filled (no black corners)
camera    another one: white balance 20 and 40 % warmer, 112 and 64 px across, contrast up by a tenth and a quarter

Each picture's chance depends on its place in the table alone, so the same table gives the same pictures.
"""
import io
import math

KINDS = ("night", "rain", "blur", "jpeg", "rotation", "camera")


def distorted(image, kind, strong, seed):
    """A new RGB image; `strong` is False for mild."""
    return globals()["_" + kind](image.convert("RGB"), bool(strong), seed)


def _scale(image):
    return min(image.size) / 224


def _night(image, strong, seed):
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng([seed, strong])
    light = (np.asarray(image, dtype=np.float64) / 255) ** 2.2
    electrons = light / (24 if strong else 6) * (400 if strong else 1500)
    seen = rng.poisson(electrons) + rng.normal(0, 4, electrons.shape)
    gain = .6 * light.mean() / max(electrons.mean(), 1e-9)
    return Image.fromarray((np.clip(seen * gain, 0, 1) ** (1 / 2.2) * 255 + .5).astype(np.uint8))


def _rain(image, strong, seed):
    import numpy as np
    from PIL import Image, ImageDraw, ImageFilter

    rng = np.random.default_rng([seed, strong])
    width, height = image.size
    drops = Image.new("L", image.size, 0)
    draw_on = ImageDraw.Draw(drops)
    for _ in range(240 if strong else 60):
        x, y = rng.uniform(-.1, 1) * width, rng.uniform(-.1, 1) * height
        length = rng.uniform(.05, .15) * height
        draw_on.line((x, y, x + length * math.tan(math.radians(8)), y + length), fill=int(rng.uniform(90, 200)),
                     width=max(1, round(_scale(image))))
    drops = np.asarray(drops.filter(ImageFilter.GaussianBlur(.5 * _scale(image))), dtype=np.float64)[..., None] / 255
    flat = np.asarray(image, dtype=np.float64)
    flat = flat.mean() + (flat - flat.mean()) * (.65 if strong else .85)
    return Image.fromarray(np.clip(flat * (1 - drops) + 235 * drops + .5, 0, 255).astype(np.uint8))


def _blur(image, strong, seed):
    from PIL import ImageFilter

    return image.filter(ImageFilter.GaussianBlur((3.5 if strong else 1.5) * _scale(image)))


def _jpeg(image, strong, seed):
    from PIL import Image

    data = io.BytesIO()
    image.save(data, "JPEG", quality=5 if strong else 15)
    return Image.open(data).convert("RGB")


def filled(width, height, degrees):
    """The largest box of the picture's proportions in the picture when it is turned by this."""
    a = math.radians(degrees)
    long, short = max(width, height), min(width, height)
    share = short / (short * math.cos(a) + long * math.sin(a))
    return width * share, height * share


def _rotation(image, strong, seed):
    from PIL import Image

    degrees = 25 if strong else 10
    width, height = image.size
    inside = filled(width, height, degrees)
    box = ((width - inside[0]) / 2, (height - inside[1]) / 2, (width + inside[0]) / 2, (height + inside[1]) / 2)
    turned = image.rotate(degrees if seed % 2 else -degrees, Image.BICUBIC)
    return turned.resize(image.size, Image.BICUBIC, box=box)


def _camera(image, strong, seed):
    import numpy as np
    from PIL import Image

    warm, across, contrast = (1.4, 64, 1.25) if strong else (1.2, 112, 1.1)
    share = across / min(image.size)
    small = image.resize([max(1, round(s * share)) for s in image.size], Image.BOX) if share < 1 else image
    values = np.asarray(small.resize(image.size, Image.BILINEAR), dtype=np.float64)
    values = values * [warm ** .5, 1, warm ** -.5]
    return Image.fromarray(np.clip(128 + (values - 128) * contrast + .5, 0, 255).astype(np.uint8))
