"""Photos as the public gets them: the picture alone, without the place, names and devices that cameras write beside it.

A picture is decoded and written anew, which leaves out everything but its pixels. That costs time and memory, and the bytes are
strangers': it is done in a process that can be killed, and what claims to be too large is refused before it is decoded.
"""

import warnings
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final

MAX_PIXELS: Final = 64_000_000
MAX_SIDE: Final = 4096  # of what is kept
SECONDS: Final = 20.0  # of CPU time, for one photo
FORMATS: Final = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "GIF": "image/png"}


@dataclass(frozen=True, slots=True)
class Photo:
    """A cleaned picture; of a moving one the first."""

    data: bytes
    media_type: str


def clean(data: bytes) -> Photo | str:
    """Decodes a picture and writes its pixels anew; says in words what is wrong with it where that cannot be done."""
    from PIL import Image, UnidentifiedImageError  # only the process that works on pictures loads it

    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what matters is refused below
            with Image.open(BytesIO(data), formats=tuple(FORMATS)) as picture:
                if picture.width * picture.height > MAX_PIXELS:
                    return f"has more than {MAX_PIXELS // 1_000_000} million pixels: send a smaller one"
                return _written(picture, str(picture.format))
    except UnidentifiedImageError:
        return "is no picture that can be read: send a JPEG, PNG, WebP or GIF"
    except Image.DecompressionBombError:
        return f"has more than {MAX_PIXELS // 1_000_000} million pixels: send a smaller one"
    except (OSError, ValueError, SyntaxError, EOFError):  # Pillow raises each of them, by the kind of damage
        return "is damaged: send it again, or another one"


def _written(picture: Any, kind: str) -> Photo:
    from PIL import Image, ImageOps

    picture.draft("RGB", (MAX_SIDE, MAX_SIDE))
    turned = ImageOps.exif_transpose(picture)
    is_clear = kind != "JPEG" and ("A" in turned.getbands() or "transparency" in turned.info)
    plain = turned.convert("RGBA" if is_clear else "RGB")
    plain.thumbnail((MAX_SIDE, MAX_SIDE))
    bare, out = Image.new(plain.mode, plain.size), BytesIO()  # a new one has nothing beside its pixels
    bare.paste(plain)
    target = "PNG" if kind == "GIF" else kind
    bare.save(out, target, **({} if target == "PNG" else {"quality": 88}))
    return Photo(out.getvalue(), FORMATS[kind])
