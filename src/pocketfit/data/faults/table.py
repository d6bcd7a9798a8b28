"""Every fault by name, the more common of two that look alike first."""

from __future__ import annotations

from functools import partial

from pocketfit.contract import Kernel
from pocketfit.data.faults import colours, numbers, shapes
from pocketfit.data.faults.fault import Fault, as_stored

__all__ = ["FAULTS"]

FAULTS: tuple[Fault, ...] = (
    Fault(
        "channel-order",
        "Red and blue are swapped: BGR is given for RGB, or RGB for BGR.",
        decode=colours.opposite_order,
    ),
    Fault(
        "unit-range",
        "Pixels are only divided by 255, to 0..1, instead of the scale, mean and std of the model.",
        compute=numbers.unit_range,
    ),
    Fault(
        "symmetric-range",
        "Pixels are brought to -1..1 instead of using the scale, mean and std of the model.",
        compute=numbers.symmetric_range,
    ),
    Fault("imagenet-statistics", "ImageNet's mean and std are used instead of the model's.", compute=numbers.imagenet),
    Fault("raw-range", "Pixels are given as 0..255, neither scaled nor centred.", compute=numbers.raw),
    Fault(
        "caffe-statistics",
        "BGR in 0..255 minus ImageNet's mean is given, as Caffe's networks take it.",
        compute=numbers.caffe,
    ),
    Fault("no-mean", "The mean is not subtracted.", compute=numbers.without_mean),
    Fault("no-std", "The standard deviation does not divide.", compute=numbers.without_std),
    Fault(
        "statistics-reversed",
        "Mean and std are applied to the channels in the opposite order.",
        compute=numbers.statistics_reversed,
    ),
    Fault(
        "normalised-twice",
        "Scale, mean and std are applied twice, in the app and once more in the model or a library.",
        compute=numbers.twice,
    ),
    Fault(
        "per-image-statistics",
        "Each image is normalised by its own mean and standard deviation.",
        compute=numbers.per_image,
    ),
    Fault(
        "layout",
        "The numbers lie as height, width, channel and are read as channel, height, width.",
        compute=numbers.other_layout,
    ),
    Fault(
        "squash",
        "The whole image is pressed into the model's input: no aspect kept, nothing cropped.",
        shape=shapes.squashed,
    ),
    Fault(
        "squash-then-crop",
        "Both sides are resized to the same length before the crop, instead of the shorter one.",
        shape=shapes.squashed_then_cropped,
    ),
    Fault(
        "no-margin",
        "The image is resized to just cover the model's input: the margin around the crop is missing.",
        shape=shapes.without_margin,
    ),
    Fault(
        "letterbox", "The whole image is fitted in with black bars instead of being cropped.", shape=shapes.letterboxed
    ),
    Fault("corner-crop", "The crop is taken from the upper left corner, not the centre.", shape=shapes.from_the_corner),
    Fault("exif-ignored", "The EXIF orientation of photos is not applied.", decode=as_stored),
    Fault("rotated-90", "Images are turned left by 90 degrees.", decode=partial(colours.turned, how="ROTATE_90")),
    Fault("rotated-180", "Images are upside down.", decode=partial(colours.turned, how="ROTATE_180")),
    Fault("rotated-270", "Images are turned right by 90 degrees.", decode=partial(colours.turned, how="ROTATE_270")),
    Fault("mirrored", "Left and right are swapped.", decode=partial(colours.turned, how="FLIP_LEFT_RIGHT")),
    Fault("flipped", "Top and bottom are swapped.", decode=partial(colours.turned, how="FLIP_TOP_BOTTOM")),
    Fault("transposed", "Rows are read as columns.", decode=partial(colours.turned, how="TRANSPOSE")),
    Fault("uv-swapped", "The colour planes U and V are swapped: NV21 is read as NV12.", decode=colours.colours_swapped),
    Fault(
        "limited-as-full",
        "YUV of limited range (16..235) is taken for full range: images look washed out.",
        decode=colours.limited_as_full,
    ),
    Fault(
        "full-as-limited",
        "YUV of full range is taken for limited range (16..235): contrast is too high and clipped.",
        decode=colours.full_as_limited,
    ),
    Fault("yuv-matrix", "YUV of BT.601 is turned into RGB by BT.709.", decode=colours.wrong_matrix),
    Fault("gray", "Images have lost their colour.", decode=colours.gray),
    Fault("nearest", "The resize takes the nearest pixel.", shape=partial(shapes.with_kernel, kernel=Kernel.NEAREST)),
    Fault("no-antialias", "The resize is bilinear without antialias.", shape=shapes.without_antialias),
    Fault(
        "bilinear",
        "The resize is bilinear, with antialias.",
        shape=partial(shapes.with_kernel, kernel=Kernel.BILINEAR),
    ),
    Fault("bicubic", "The resize is bicubic.", shape=partial(shapes.with_kernel, kernel=Kernel.BICUBIC)),
    Fault("box", "The resize takes the mean over areas.", shape=partial(shapes.with_kernel, kernel=Kernel.BOX)),
)
