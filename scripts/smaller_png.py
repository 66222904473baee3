"""A page's PNG at half its bytes: one byte a pixel, of the 256 colours that stand for all it uses.

    smaller(page, png)    `page` is a blank one of the browser, which decodes faster than Python does

A page has some fifteen colours and their mixtures at the edges of letters. What is not among the 256 becomes the one
nearest to it, which nobody sees. PNG, third edition: 11.2.1 (IHDR, colour type 3), 11.2.2 (PLTE), 12.7 (filter 0).
"""

from __future__ import annotations

import base64
import struct
import zlib

from playwright.sync_api import Page

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TO_PALETTE = """async (address) => {
  const image = new Image();
  image.src = address;
  await image.decode();
  const { width, height } = image;
  const canvas = new OffscreenCanvas(width, height).getContext("2d");
  canvas.drawImage(image, 0, 0);
  const pixels = new Uint32Array(canvas.getImageData(0, 0, width, height).data.buffer);
  const often = new Map();
  for (const pixel of pixels) often.set(pixel, (often.get(pixel) ?? 0) + 1);
  const colours = [...often.keys()].sort((one, other) => often.get(other) - often.get(one) || one - other);
  const alike = new Map();  // eight shades of a colour are one, so that there is room for the rare colours too
  for (const colour of colours) {
    const shade = colour & 0xf8f8f8;
    if (!alike.has(shade)) alike.set(shade, { colour, count: 0 });
    alike.get(shade).count += often.get(colour);
  }
  const most = [...alike.values()].sort((one, other) => other.count - one.count || one.colour - other.colour);
  const kept = most.slice(0, 256).map(({ colour }) => colour);
  const far = (one, other) => [0, 8, 16].reduce((sum, by) => sum + ((one >> by & 255) - (other >> by & 255)) ** 2, 0);
  const nearest = (colour) =>
    kept.reduce((best, each, at) => far(colour, each) < far(colour, kept[best]) ? at : best, 0);
  const place = new Map(colours.map((colour) => [colour, nearest(colour)]));
  const places = Uint8Array.from(pixels, (pixel) => place.get(pixel));
  let text = "";
  for (let at = 0; at < places.length; at += 32768) text += String.fromCharCode(...places.subarray(at, at + 32768));
  return { width, height, kept, places: btoa(text) };
}"""


def smaller(page: Page, png: bytes) -> bytes:
    """The same picture with a palette."""
    found = page.evaluate(_TO_PALETTE, f"data:image/png;base64,{base64.b64encode(png).decode()}")
    width, height, places = found["width"], found["height"], base64.b64decode(found["places"])
    rows = b"".join(b"\0" + places[row * width : (row + 1) * width] for row in range(height))
    palette = b"".join(struct.pack("<I", colour)[:3] for colour in found["kept"])
    chunks = {
        b"IHDR": struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0),
        b"PLTE": palette,
        b"IDAT": zlib.compress(rows, 9),
        b"IEND": b"",
    }
    return _SIGNATURE + b"".join(_chunk(kind, data) for kind, data in chunks.items())


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
