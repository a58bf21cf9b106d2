"""Writes pictures.json: small files of every format, colour type, depth and orientation, with their pixels.

    python -m venv /tmp/golden && /tmp/golden/bin/pip install Pillow==13.0.0 numpy==2.4.6 tifffile==2026.3.3 imagecodecs
    /tmp/golden/bin/python tests/golden/pictures.py > tests/golden/pictures.json

The tests in worker/data/src/decode/golden.rs read it. Pillow decodes what it wrote. Where it has no colours of more than
8 bits, numpy computes what is expected from the values that tifffile wrote.
"""

import io
import json

import numpy as np
import tifffile
from PIL import Image, ImageOps

WIDTH, HEIGHT = 13, 9


def smooth(channels, most=255):
    """A smooth picture, different in every channel and in no way symmetric."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(float)
    planes = [(0.15 + 0.7 * ((c + 1) * x / WIDTH / channels + (channels - c) * y * y / HEIGHT**2 / channels) / 1.6) for c in range(channels)]
    return np.clip(np.stack(planes, axis=-1), 0, 1) * most


def picture(mode):
    """The picture in a mode of Pillow."""
    rgb = Image.fromarray(np.rint(smooth(3)).astype(np.uint8))
    if mode in ("LA", "RGBA"):
        alpha = Image.fromarray(np.rint(smooth(4)[..., 3]).astype(np.uint8))
        image = rgb.convert("L" if mode == "LA" else "RGB")
        image.putalpha(alpha)
        return image
    if mode == "P":
        return rgb.quantize(16)
    return rgb.convert(mode)


def shown(image):
    """What a viewer shows: turned, on white, as RGB."""
    image = ImageOps.exif_transpose(image)
    if image.mode in ("LA", "RGBA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return np.asarray(image.convert("RGB"))


CASES = []


def case(name, content, pixels, tolerance=2):
    pixels = np.broadcast_to(pixels[..., None], pixels.shape + (3,)) if pixels.ndim == 2 else pixels
    CASES.append(
        {
            "name": name,
            "file": content.hex(),
            "height": pixels.shape[0],
            "width": pixels.shape[1],
            "pixels": np.ascontiguousarray(pixels.transpose(2, 0, 1)).astype(np.uint8).tobytes().hex(),
            "tolerance": tolerance,
        }
    )


def refused(name, content, reason):
    CASES.append({"name": name, "file": content.hex(), "refused": reason})


def pillow(name, image, tolerance=2, **options):
    file = io.BytesIO()
    image.save(file, **options)
    case(name, file.getvalue(), shown(Image.open(io.BytesIO(file.getvalue()))), tolerance)


def tiff(values, **options):
    file = io.BytesIO()
    tifffile.imwrite(file, values, metadata=None, **options)
    return file.getvalue()


def bytes_of(values, most):
    return np.rint(values.astype(float) / most * 255)


def formats():
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA"):
        pillow(f"png {mode}", picture(mode), 0, format="PNG")
    for mode in ("L", "RGB", "CMYK"):
        pillow(f"jpeg {mode}", picture(mode), 3, format="JPEG", quality=95, subsampling=0)
    pillow("jpeg RGB 4:2:0 progressive", picture("RGB"), 4, format="JPEG", quality=95, progressive=True)
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr"):
        for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"):
            pillow(f"tiff {mode} {compression}", picture(mode), 2, format="TIFF", compression=compression)
    pillow("tiff 1 group4", picture("1"), 0, format="TIFF", compression="group4")
    for mode in ("L", "RGB"):
        pillow(f"tiff {mode} jpeg", picture(mode), 4, format="TIFF", compression="jpeg", quality=95)
    for mode in ("L", "RGB", "RGBA"):
        pillow(f"webp {mode} lossless", picture(mode), 0, format="WEBP", lossless=True, exact=True)
    pillow("webp RGB lossy", picture("RGB"), 4, format="WEBP", quality=95)
    for mode in ("1", "L", "P", "RGB", "RGBA"):
        pillow(f"bmp {mode}", picture(mode), 0, format="BMP")
    for mode in ("1", "L", "P"):
        pillow(f"gif {mode}", picture(mode), 0, format="GIF")
    pillow("gif transparent", picture("P"), 0, format="GIF", transparency=3)
    frames = [picture("P"), picture("P").rotate(180)]
    pillow("gif animated", frames[0], 0, format="GIF", save_all=True, append_images=frames[1:])
    pillow("webp animated", picture("RGB"), 0, format="WEBP", lossless=True, save_all=True, append_images=[picture("RGB").rotate(180)])
    pillow("tiff pages", picture("RGB"), 0, format="TIFF", save_all=True, append_images=[picture("RGB").rotate(180)])
    for mode in ("1", "L", "RGB"):
        pillow(f"pnm {mode}", picture(mode), 0, format="PPM")
    grey = np.rint(smooth(1, 15)[..., 0]).astype(int)
    text = f"P2\n# a comment\n{WIDTH} {HEIGHT}\n15\n" + "\n".join(" ".join(map(str, row)) for row in grey) + "\n"
    case("pnm text of 4 bits", text.encode(), bytes_of(grey, 15))
    color = np.rint(smooth(3)).astype(int)
    text = f"P3 {WIDTH} {HEIGHT} 255\n" + "\n".join(" ".join(map(str, row.ravel())) for row in color) + "\n"
    case("pnm text of colours", text.encode(), color, 0)
    deep = np.rint(smooth(1, 65535)[..., 0]).astype(">u2")
    case("pnm of 16 bits", f"P5 {WIDTH} {HEIGHT} 65535\n".encode() + deep.tobytes(), bytes_of(deep, 65535))
    deep = np.rint(smooth(1, 1023)[..., 0]).astype(">u2")
    case("pnm of 10 bits", f"P5 {WIDTH} {HEIGHT} 1023\n".encode() + deep.tobytes(), bytes_of(deep, 1023))


def depths():
    grey = smooth(1)[..., 0]
    word = np.rint(smooth(1, 65535)[..., 0]).astype(np.uint16)
    image = Image.fromarray(word)
    file = io.BytesIO()
    image.save(file, format="PNG")
    case("png grey of 16 bits", file.getvalue(), bytes_of(word, 65535))
    words = np.rint(smooth(3, 65535)).astype(np.uint16)
    unit = smooth(1, 1.0)[..., 0]
    units = smooth(3, 1.0)
    for order in ("<", ">"):
        where = {"byteorder": order}
        case(f"tiff grey of 16 bits {order}", tiff(word, **where), bytes_of(word, 65535))
        case(f"tiff RGB of 16 bits {order}", tiff(words, photometric="rgb", **where), bytes_of(words, 65535))
        for kind in (np.float16, np.float32, np.float64):
            case(f"tiff grey of {kind.__name__} {order}", tiff(unit.astype(kind), **where), bytes_of(unit, 1))
        case(f"tiff RGB of floats {order}", tiff(units.astype(np.float32), photometric="rgb", **where), bytes_of(units, 1))
    byte, rgb = np.rint(grey).astype(np.uint8), np.rint(smooth(3)).astype(np.uint8)
    case("tiff white is zero", tiff(byte, photometric="miniswhite"), 255.0 - byte, 0)
    case("tiff white is zero, 16 bits", tiff(word, photometric="miniswhite"), bytes_of(65535 - word.astype(int), 65535))
    case("tiff planes", tiff(np.moveaxis(rgb, -1, 0).copy(), photometric="rgb", planarconfig="separate"), rgb, 0)
    case("tiff planes of 16 bits", tiff(np.moveaxis(words, -1, 0).copy(), photometric="rgb", planarconfig="separate"), bytes_of(words, 65535))
    case("tiff tiles", tiff(rgb, photometric="rgb", tile=(16, 16)), rgb, 0)
    case("tiff strips of two rows", tiff(rgb, photometric="rgb", rowsperstrip=2), rgb, 0)
    case("bigtiff", tiff(rgb, photometric="rgb", bigtiff=True), rgb, 0)
    case("tiff predicted", tiff(rgb, photometric="rgb", compression="zlib", predictor=2), rgb, 0)
    case("tiff predicted, 16 bits", tiff(words, photometric="rgb", compression="zlib", predictor=2), bytes_of(words, 65535))
    case("tiff predicted floats", tiff(unit.astype(np.float32), compression="zlib", predictor=3), bytes_of(unit, 1))
    index = (np.arange(WIDTH * HEIGHT).reshape(HEIGHT, WIDTH) % 256).astype(np.uint8)
    palette = np.stack([np.arange(256) * 257, np.arange(256)[::-1] * 257, (np.arange(256) * 7 % 256) * 257]).astype(np.uint16)
    for order in ("<", ">"):
        content = tiff(index, photometric="palette", colormap=palette, byteorder=order)
        case(f"tiff palette {order}", content, (palette.T[index] >> 8).astype(np.uint8), 0)
    case("tiff palette, big", tiff(index, photometric="palette", colormap=palette, bigtiff=True), (palette.T[index] >> 8).astype(np.uint8), 0)
    alpha = np.rint(smooth(4)[..., 3]).astype(np.uint8)
    on_white = lambda color: color * (alpha[..., None] / 255.0) + 255.0 - alpha[..., None]
    both = np.concatenate([rgb, alpha[..., None]], axis=-1)
    case("tiff alpha beside", tiff(both, photometric="rgb", extrasamples=["unassalpha"]), np.rint(on_white(rgb)))
    multiplied = np.rint(rgb * (alpha[..., None] / 255.0)).astype(np.uint8)
    content = tiff(np.concatenate([multiplied, alpha[..., None]], axis=-1), photometric="rgb", extrasamples=["assocalpha"])
    case("tiff alpha within", content, np.rint(on_white(rgb)))
    content = tiff(both, photometric="rgb", extrasamples=["unspecified"])
    case("tiff with a fourth channel that is no alpha", content, rgb, 0)
    pair = np.stack([byte, alpha], axis=-1)
    content = tiff(pair, photometric="minisblack", planarconfig="contig", extrasamples=["unassalpha"])
    case("tiff grey with alpha", content, np.rint(on_white(byte[..., None])[..., 0]))


def orientations():
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[274] = orientation
        for name, options in (("JPEG", {"quality": 95, "subsampling": 0}), ("PNG", {}), ("WEBP", {"lossless": True, "exact": True})):
            pillow(f"{name} orientation {orientation}", picture("RGB"), 3 if name == "JPEG" else 0, format=name, exif=exif.tobytes(), **options)
        pillow(f"TIFF orientation {orientation}", picture("RGB"), 0, format="TIFF", tiffinfo={274: orientation})


def refusals():
    unit = smooth(1, 1.0)[..., 0].astype(np.float32)
    refused("tiff floats up to 255", tiff(unit * 255), "scale them to values from 0 (black) to 1 (white)")
    refused("tiff floats below zero", tiff(unit - 0.5), "scale them to values from 0 (black) to 1 (white)")
    broken = unit.copy()
    broken[3, 3] = np.nan
    refused("tiff with a float that is no number", tiff(broken), "infinite or not a number")
    refused("tiff of 32-bit integers", tiff(np.ones((9, 9), np.uint32)), "integers of 32 bits")
    refused("tiff of signed integers", tiff(np.ones((9, 9), np.int16)), "signed integers")
    channels = tiff(np.ones((9, 9, 5), np.uint8), photometric="minisblack", planarconfig="contig")
    refused("tiff of five channels", channels, "5 channels")
    slide = tiff(np.ones((9, 9, 3), np.uint8), photometric="rgb", description="Aperio Image Library v11.2.1")
    refused("slide", slide, "cut it into tiles")
    file = io.BytesIO()
    picture("RGB").save(file, format="JPEG2000")
    refused("jpeg 2000", file.getvalue(), "JPEG 2000")
    file = io.BytesIO()
    picture("RGB").save(file, format="AVIF")
    refused("avif", file.getvalue(), "AVIF")
    file = io.BytesIO()
    picture("RGB").save(file, format="ICO", sizes=[(8, 8)])
    refused("icon", file.getvalue(), "an icon")


formats()
depths()
orientations()
refusals()
print("[\n" + ",\n".join(json.dumps(one) for one in CASES) + "\n]")
