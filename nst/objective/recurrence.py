"""What recurs in a style picture is style; what stands there once, such as a face, is a thing (`style_parts`).

Deep style matrices hold motifs, and with them whatever the style picture shows: it appears in the result as a ghost. A
guide over the style picture (Gatys et al. 2017, eq. 5) takes out of these matrices what is found nowhere else in it. A
style mask corrects the guide by hand.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from nst.cache import BoundedCache, digest
from nst.device import choose_device, true_float32
from nst.features.extractor import FeatureExtractor, smallest_side
from nst.images import masks, pictures
from nst.scaled_pictures import STYLE_MASK_PX
from nst.settings import Settings

# Where likeness is measured. Deep enough that a position sees a thing as a whole, such as an eye with its brow, whose
# parts recur; a shallower layer also takes one large swirl, made of strokes that recur, for a thing.
LAYER = "relu5_3"
FROM_STRIDE = 8  # px between positions: the guide is used in blocks 4 and 5; strokes are taken from the whole picture
# Likeness is measured at one size, whatever the level: at a smaller one a thing has too few positions, at a larger one
# it falls into parts, such as edges, that recur elsewhere. It also bounds the positions, which are compared in pairs.
LONGER_PX = 256
# Shares of the longer side. Nearer than the first, positions are alike because they show the same thing; places nearer
# to each other than the second count as one.
FAR, APART = 0.2, 0.15
PLACES = 3  # far away, that must show something alike: with one, a pair of eyes recurs
TYPICAL = 0.9  # quantile of likeness in a picture, to which its positions are compared
LEAST_TYPICAL = 0.2  # cosine; where even this is less, next to nothing recurs
LOW, HIGH = 0.35, 0.55  # of the typical likeness, between which the guide rises from 0 to 1
LEAST_SHARE = 0.3  # of the picture that the guide must keep on average: if less recurs, it is mixed with ones
LEAST_BY_HAND = 0.05  # the same for a guide corrected by hand, where a small part may be meant
MOST_GUIDES_KEPT = 64  # of 1 KB each
DARKEST = 0.12  # brightness, on the page, of what is left out

kept_guides = BoundedCache(MOST_GUIDES_KEPT)


def likeness(a: Tensor, visible: Tensor) -> Tensor:
    """How much each position of a layer is like places far away: (1, C, h, w), bool (1, 1, h, w) -> (h, w).

    The cosine of activations, centred, with those of the `PLACES`-th best place, each place apart from the better ones.
    NaN where a position is not visible or has fewer places far away.
    """
    height, width = a.shape[-2:]
    shown = visible.flatten()
    flat = a.float().flatten(2)[0].T  # (hw, C)
    rows = F.normalize(flat - flat[shown].mean(0), dim=1)
    ys, xs = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    at = torch.stack([ys.flatten(), xs.flatten()], 1).to(a.device, torch.float32) / max(height, width)
    distances, cosines = torch.cdist(at, at), rows @ rows.T  # (hw, hw)
    ruled_out = (distances < FAR) | ~shown
    for _ in range(PLACES):
        best, place = cosines.masked_fill(ruled_out, -torch.inf).max(1)
        ruled_out = ruled_out | (distances[place] < APART)
    return best.masked_fill(~shown | best.isinf(), torch.nan).view(height, width)


def guide_of(found: Tensor) -> Tensor:
    """From `likeness` (h, w) -> the guide T (1, 1, h, w) in [0, 1]; 1 where nothing is known.

    It is 1 throughout where everything recurs equally, and goes to 1 where less than `LEAST_SHARE` recurs: a picture
    of one thing only has no other style.
    """
    known = ~found.isnan()
    if not known.any():
        return torch.ones(1, 1, *found.shape, device=found.device)
    typical = found[known].quantile(TYPICAL).clamp(min=LEAST_TYPICAL)
    rise = ((found / typical - LOW) / (HIGH - LOW)).clamp(0, 1)
    recurs = (rise * rise * (3 - 2 * rise)).where(known, 1.0)
    return _not_empty(recurs, recurs[known].mean(), LEAST_SHARE)[None, None]


def _not_empty(guide: Tensor, share: Tensor, least: float) -> Tensor:
    """The guide, mixed with ones where it keeps a smaller `share` of the picture than `least`: all ones at share 0."""
    return guide + (1 - share / least).clamp(min=0) * (1 - guide)


@torch.inference_mode(False)
@torch.no_grad()
def recurring(painting: Tensor, alpha: Tensor | None, settings: Settings, dtype: torch.dtype) -> Tensor:
    """The guide of a style picture (1, 3, H, W) with its alpha (1, 1, H, W), on its grid at `LONGER_PX`: (1, 1, h, w).

    Measured once for each picture, network and number format (`dtype`), and the same at all levels, whole or in tiles.
    """
    least_px = smallest_side([LAYER], settings.backbone)
    small = pictures.resize(painting, pictures.shrunk_size(painting, LONGER_PX / max(painting.shape[-2:]), least_px))
    shown = torch.ones_like(small[:, :1]) if alpha is None else masks.resize(alpha, tuple(small.shape[-2:]))
    network = settings.backbone, settings.pooling, small.device, dtype

    def measure() -> Tensor:
        extractor = FeatureExtractor([LAYER], *network, replicate_edges=True)
        with true_float32(small):
            a = extractor(small)[LAYER]
        visible = masks.guide(shown, a.shape[-2:], extractor.strides[LAYER]) > 0.5
        return guide_of(likeness(a, visible))

    return kept_guides.get((digest(small), digest(shown), *network), measure)


def guide(
    painting: Tensor, alpha: Tensor | None, by_hand: Tensor | None, settings: Settings, dtype: torch.dtype
) -> Tensor | None:
    """How much each part of a style picture (1, 3, H, W) counts in the deep layers: (1, 1, h, w); None: all, fully.

    `by_hand` (1, 2, h, w), from `kept_and_left_out`, overrides what was measured, or the ones of `style_parts="all"`.
    """
    measured = painting.new_ones(1, 1, 1, 1)
    if settings.style_parts == "recurring":
        measured = recurring(painting, alpha, settings, dtype)
    if by_hand is not None:
        measured = corrected(measured, alpha, by_hand)
    return None if bool((measured == 1).all()) else measured


def corrected(measured: Tensor, alpha: Tensor | None, by_hand: Tensor) -> Tensor:
    """A guide (1, 1, h, w) corrected by the shares kept and left out by hand (1, 2, H, W): (1, 1, H, W)."""
    kept, left_out = by_hand.split(1, dim=1)
    size = tuple(by_hand.shape[-2:])
    t = (masks.resize(measured, size) * (1 - kept - left_out) + kept).clamp(0, 1)
    shown = torch.ones_like(t) if alpha is None else masks.resize(alpha, size)
    return _not_empty(t, (t * shown).mean() / shown.mean().clamp(min=1e-9), LEAST_BY_HAND)


def darkened(picture: Image.Image, settings: Settings) -> Image.Image:
    """A style picture with dark parts where `recurring` leaves it out of the deep style matrices: PIL RGB -> RGB."""
    compute = choose_device(settings.device, settings.precision)
    size = pictures.style_size(picture, STYLE_MASK_PX)
    colours, alpha = pictures.split(pictures.scaled(picture, size))
    painting = pictures.to_tensor(colours).to(compute.device)
    visible = None if alpha is None else pictures.to_tensor(alpha).to(compute.device)
    recurs = masks.resize(recurring(painting, visible, settings, compute.dtype), size)
    return pictures.to_picture(painting * recurs.lerp(torch.ones_like(recurs), DARKEST))
