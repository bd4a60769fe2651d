"""Give one picture the colours of another: luminance transfer, linear colour matching, histogram matching.

Gatys, Bethge, Hertzmann & Shechtman 2016, "Preserving color in neural artistic style transfer" (arXiv:1606.05897), and
Gatys et al. 2017. As in those papers, the values are encoded sRGB, not linear light. All statistics are float64.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from nst import costs

LUMA = (0.299, 0.587, 0.114)  # Y of YIQ, ITU-R BT.601, on encoded sRGB
MAX_GAIN = 5.0  # a larger gain turns the noise of a nearly grey picture into coloured speckle
BINS = 512  # of a histogram; a bin is about half an 8-bit step wide
CHUNK = 65536  # pixels whose moments are summed at once, so that they fit into the processor's cache

Weights = Tensor | None  # (1, 1, H, W) in [0, 1]: the weight of each pixel; None, or zero everywhere: equal weights


def recolour(
    picture: Tensor,
    photo: Tensor,
    method: str,
    amount: float = 1.0,
    picture_weights: Weights = None,
    photo_weights: Weights = None,
) -> Tensor:
    """`picture` in the colours of `photo`, by `amount` in [0, 1]: two sRGB (1, 3, H, W) in [0, 1] -> the first's size.

    The sizes may differ, except for "luminance", which takes each pixel's colour from the same position of the photo.
    Returns `picture` itself for an amount of 0. `ValueError` for an unknown method and an amount outside 0 to 1.
    """
    if method not in METHODS:
        raise ValueError(f"colour method {method!r} is unknown; choose one of {', '.join(METHODS)}")
    if not 0 <= amount <= 1:
        raise ValueError(f"colour amount={amount} is outside 0 to 1; 0 leaves the colours alone, 1 replaces them")
    if amount == 0:
        return picture
    return picture.lerp(METHODS[method](picture, photo, picture_weights, photo_weights), amount)


def luminance(image: Tensor) -> Tensor:
    """Y of YIQ: sRGB (1, 3, H, W) -> (1, 1, H, W)."""
    return (image * image.new_tensor(LUMA).view(3, 1, 1)).sum(1, keepdim=True)


def greyed(image: Tensor, share: Tensor | None) -> Tensor:
    """The mean of R, G and B in all three, where `share` (1, 1, H or 1, W or 1) is 1: (1, 3, H, W) -> same.

    Where it is 0, and for None, the picture's own colours. A projection: it takes a gradient by the result to one by
    the picture, too.
    """
    return image if share is None else image.lerp(image.mean(1, keepdim=True).expand_as(image), share.to(image))


def keep_luminance(picture: Tensor, photo: Tensor) -> Tensor:
    """Y of `picture` with I and Q of `photo`: two sRGB (1, 3, H, W) in [0, 1] -> same. Gatys et al. 2016."""
    if picture.shape != photo.shape:
        sizes = " and ".join(f"{image.shape[-1]} x {image.shape[-2]} px" for image in (picture, photo))
        raise ValueError(f"colour method 'luminance' needs two pictures of one size, not {sizes}; resize one of them")
    return into_gamut(photo + (luminance(picture) - luminance(photo)))  # equal steps in R, G and B change Y alone


def luminance_style(
    style: Tensor, photo: Tensor, style_weights: Weights = None, photo_weights: Weights = None
) -> Tensor:
    """Y of the style with the photo's mean and deviation, grey: two sRGB (1, 3, H, W) in [0, 1] -> the first's size.

    Gatys et al. 2016: L_S' = sigma_C / sigma_S (L_S - mu_S) + mu_C.
    """
    grey = luminance(style)
    mean_style, variance_style = mean_and_covariance(grey, style_weights)
    mean_photo, variance_photo = mean_and_covariance(luminance(photo), photo_weights)
    gain = (variance_photo.clamp_min(0) / variance_style.clamp_min(1e-10)).sqrt().clamp_max(MAX_GAIN)
    return _apply(grey, gain, mean_photo - gain[0] * mean_style).clamp_(0, 1).repeat(1, 3, 1, 1)


def into_gamut(image: Tensor) -> Tensor:
    """(1, 3, H, W) with Y in [0, 1] -> all in [0, 1], by scaling each pixel's chroma towards grey, no more than needed.

    A clip of each channel would change Y and the hue; this keeps both.
    """
    y = luminance(image)
    chroma = image - y
    above = (1 - y) / chroma.amax(1, keepdim=True).clamp_min(1e-6)
    below = y / chroma.amin(1, keepdim=True).neg().clamp_min(1e-6)
    return chroma.mul_(above.minimum(below).clamp_max_(1)).add_(y).clamp_(0, 1)  # the last clip removes rounding only


def mean_and_covariance(image: Tensor, weights: Weights = None) -> tuple[Tensor, Tensor]:
    """Weighted mean and covariance of the pixels: (1, C, H, W) -> (C,), (C, C), float64."""
    shares = None if _uniform(weights) else weights.flatten(2).mT.double()
    if shares is not None:
        shares = shares / shares.sum()
    mean, covariance = costs.mean_and_covariance(image.flatten(2).mT, shares, torch.float64, CHUNK)
    return mean[0, 0], covariance[0]


def _uniform(weights: Weights) -> bool:
    return weights is None or not weights.any()


def linear_map(
    picture: Tensor, photo: Tensor, form: str, picture_weights: Weights = None, photo_weights: Weights = None
) -> tuple[Tensor, Tensor]:
    """A (3, 3) and b (3,), float64: colours A x + b have the mean and covariance of the photo's. Gatys et al. 2016.

    `form` is a key of `LINEAR_FORMS`. Unlike the papers, we raise small variances of `picture` until |A| is within
    MAX_GAIN: the papers' maps are undefined for grey pictures and amplify the noise of pale ones.
    """
    mean_picture, covariance_picture = mean_and_covariance(picture, picture_weights)
    mean_photo, covariance_photo = mean_and_covariance(photo, photo_weights)
    goal = _power(covariance_photo, 1, _rounding(covariance_photo))
    least = _rounding(covariance_picture)
    matrix = LINEAR_FORMS[form](_power(covariance_picture, 1, least), goal)
    while torch.linalg.matrix_norm(matrix, 2) > MAX_GAIN:  # terminates: |A|^2 <= largest variance of the photo / least
        least = 2 * least
        matrix = LINEAR_FORMS[form](_power(covariance_picture, 1, least), goal)
    return matrix, mean_photo - matrix @ mean_picture


def _rounding(covariance: Tensor) -> Tensor:
    """A variance that rounding of floats may cause; an 8-bit step causes a much larger one: (3, 3) -> ()."""
    return 1e-8 * torch.linalg.matrix_norm(covariance, 2) + 1e-10


def _power(covariance: Tensor, exponent: float, least: Tensor | float = 1e-30) -> Tensor:
    """Power of a symmetric matrix whose eigenvalues are first raised to `least` at least: (3, 3) -> (3, 3)."""
    variances, axes = torch.linalg.eigh(covariance)
    return axes * variances.clamp_min(least) ** exponent @ axes.mT


def _cholesky(source: Tensor, target: Tensor) -> Tensor:
    """A = L_t L_s^-1 with C = L L^T. Gatys et al. 2016. The result depends on the order of the channels."""
    return torch.linalg.cholesky(target) @ torch.linalg.inv(torch.linalg.cholesky(source))


def _pca(source: Tensor, target: Tensor) -> Tensor:
    """A = C_t^1/2 C_s^-1/2: whiten along the principal axes and back. Gatys et al. 2016."""
    return _power(target, 0.5) @ _power(source, -0.5)


def _symmetric(source: Tensor, target: Tensor) -> Tensor:
    """A = C_s^-1/2 (C_s^1/2 C_t C_s^1/2)^1/2 C_s^-1/2: of all A, it changes colours least (Monge-Kantorovich).

    Pitie & Kokaram 2007, "The linear Monge-Kantorovitch linear colour mapping for example-based colour transfer".
    """
    root, inverse_root = _power(source, 0.5), _power(source, -0.5)
    return inverse_root @ _power(root @ target @ root, 0.5) @ inverse_root


LINEAR_FORMS = {"cholesky": _cholesky, "pca": _pca, "symmetric": _symmetric}


def _apply(image: Tensor, matrix: Tensor, offset: Tensor | float = 0.0) -> Tensor:
    """A x + b for every pixel x: (1, C, H, W) -> (1, C, H, W)."""
    offset = torch.as_tensor(offset, dtype=image.dtype, device=image.device)
    return (matrix.to(image.dtype) @ image[0].flatten(1)).add_(offset.view(-1, 1)).view_as(image)


def match_histogram(
    picture: Tensor, photo: Tensor, picture_weights: Weights = None, photo_weights: Weights = None
) -> Tensor:
    """`picture` with the photo's distribution along each principal axis of its colours: sRGB (1, 3, H, W) -> same.

    Red, green and blue are correlated, so matching each of them separately creates colours that the photo does not
    have. Matching along the photo's principal axes, after linear matching, avoids that.
    """
    axes = torch.linalg.eigh(mean_and_covariance(photo, photo_weights)[1]).eigenvectors
    matrix, offset = linear_map(picture, photo, "symmetric", picture_weights, photo_weights)
    source, target = _apply(picture, axes.mT @ matrix, axes.mT @ offset), _apply(photo, axes.mT)
    gains = torch.linalg.vector_norm(axes.mT @ matrix, dim=1)  # of the linear map, along each axis
    matched = torch.empty_like(source)
    for i, gain in enumerate(gains.clamp_min(1).tolist()):
        curve = quantile_curve(source[:, i], target[:, i], MAX_GAIN / gain, picture_weights, photo_weights)
        matched[:, i] = _along(source[:, i], *curve)
    return _apply(matched, axes).clamp_(0, 1)


def quantile_curve(
    source: Tensor, target: Tensor, steepest: float, source_weights: Weights = None, target_weights: Weights = None
) -> tuple[Tensor, Tensor]:
    """Points x, y of the rising curve that gives `source` the distribution of `target`: two (1, H, W) -> two (K,)."""
    (x, share), (target_x, target_share) = _histogram(source, source_weights), _histogram(target, target_weights)
    rank, target_rank = share.cumsum(0) - share / 2, target_share.cumsum(0) - target_share / 2
    y = _gentle(x, _interpolate(rank, target_rank, target_x), steepest)
    return x, y + (target_share @ target_x - share @ y)  # restore the mean, because the limited slope has shifted it


def _histogram(values: Tensor, weights: Weights) -> tuple[Tensor, Tensor]:
    """Mean value and share of the pixels of each bin that is not empty: (1, H, W) -> two (K,), float64."""
    counted, share = values, None  # without weights pixels are counted as integers, which takes half the time
    if not _uniform(weights):
        counted = values.where(
            weights[0] > 0, (values * weights[0]).sum() / weights.sum()
        )  # pixels of weight 0 do not widen the range
        share = weights.flatten().double()
    low, high = counted.aminmax()
    place, bins = _bins(values, low, high)
    counts = torch.bincount(bins.flatten(), share, BINS).double()
    beyond = place.sub_(bins) if share is None else place.sub_(bins).mul_(weights[0])  # the bin's lower edge
    beyond = torch.bincount(bins.flatten(), beyond.flatten(), BINS)
    filled = counts.nonzero()[:, 0]
    x = low + (filled + beyond[filled] / counts[filled]) * ((high - low).clamp_min(1e-6).double() / BINS)
    return x, counts[filled] / counts.sum()


def _bins(values: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Position of each value between low and high, in units of a bin, and the number of its bin: (...) -> two (...)."""
    place = (values - low).mul_(BINS / (high - low).clamp_min(1e-6))
    return place, place.long().clamp_(0, BINS - 1)


def _along(values: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """The polyline through x, y at each of the values, from a table; its end segments extend beyond its ends."""
    table = _interpolate(torch.lerp(x[0], x[-1], torch.linspace(0, 1, BINS + 1).to(x)), x, y).to(values.dtype)
    place, bins = _bins(values, x[0].to(values.dtype), x[-1].to(values.dtype))
    return table[bins].lerp_(table[bins + 1], place.sub_(bins))


def _interpolate(at: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """The polyline through the points x, y, x rising, at each of `at`; beyond its ends it is constant."""
    right = torch.searchsorted(x, at).clamp_max(len(x) - 1)
    left = (right - 1).clamp_min(0)
    return torch.lerp(y[left], y[right], ((at - x[left]) / (x[right] - x[left]).clamp_min(1e-12)).clamp(0, 1))


def _gentle(x: Tensor, y: Tensor, steepest: float) -> Tensor:
    """y with limited slope: the mean of the highest curve below y and the lowest above it, both of slope <= `steepest`.

    A peak in the source's histogram or a gap in the target's would otherwise posterise the picture.
    """
    excess = y - steepest * x
    under, over = excess.cummin(0).values, excess.flip(0).cummax(0).values.flip(0)
    return steepest * x + (under + over) / 2


def _linear(form: str) -> Callable[[Tensor, Tensor, Weights, Weights], Tensor]:
    """The method that gives a picture the mean and covariance of the photo's colours by this form of the map."""

    def match(picture: Tensor, photo: Tensor, *weights: Weights) -> Tensor:
        matched = _apply(picture, *linear_map(picture, photo, form, *weights))
        return matched.clamp_(
            0, 1
        )  # the nearest colour in gamut; less chroma, as for "luminance", would be farther away

    return match


METHODS: dict[str, Callable[[Tensor, Tensor, Weights, Weights], Tensor]] = {
    "luminance": lambda picture, photo, *_: keep_luminance(picture, photo),
    **{form: _linear(form) for form in LINEAR_FORMS},
    "histogram": match_histogram,
}
